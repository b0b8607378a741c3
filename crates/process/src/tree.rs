//! The process tree of one runner: the runner and all its descendants. It is created, entered by the runner, signalled,
//! measured, and killed.
//!
//! With a cgroup, the kernel knows the members. Without one, they are searched for again and again: the process group
//! of the runner, its descendants, adopted orphans, and all processes that carry the tag of the tree in their
//! environment (`members.rs`). In both cases [`Tree::kill`] either leaves no process, or returns [`Unkillable`] with
//! the pids that are left.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;
use rework_wire::worker::{MemoryMethod, PROCESS_TAG_VAR};

use crate::cgroup::Cgroup;
use crate::child::Child;
use crate::child_registry::reap_adopted;
use crate::containment::Containment;
use crate::kill::{self, Unkillable};
use crate::launch::{Launch, LaunchError, spawn};
use crate::members::Members;
use crate::memory::Memory;
use crate::process_set::ProcessSet;
use crate::procfs::{ProcessKey, TREE_FOLDER_PREFIX};
use crate::usage::{Usage, proportional_bytes, usage_of};

/// One runner with all its descendants. [`Tree::kill`] ends it properly. Dropping a tree kills only its cgroup and the
/// process group of its runner.
#[derive(Debug)]
pub struct Tree {
    members: Members,
    memory: Memory,
    /// The directory in the v1 `memory` hierarchy. `None` if another method limits memory.
    v1: Option<Cgroup>,
}

impl Tree {
    /// Creates a tree without processes. If a cgroup with the same tag and number is left over, kills its processes.
    ///
    /// `process_tag` is the tag of the worker. `Err` if it is empty or has characters other than letters, digits, `-`
    /// and `_`, because it becomes part of a directory name.
    pub fn new(containment: &Containment, process_tag: &str, number: u32) -> io::Result<Tree> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if process_tag.is_empty() || !process_tag.bytes().all(is_allowed) {
            let reason = format!("`{process_tag}` is not a valid process tag");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let name = format!("{TREE_FOLDER_PREFIX}{process_tag}-{number}");
        let create = |parent: &Path| Cgroup::create(parent, &name);
        let cgroup = containment.cgroup.as_deref().map(create).transpose()?;
        let v1 = match &containment.memory {
            MemoryMethod::CgroupV1(folder) => Some(create(Path::new(folder))?),
            MemoryMethod::CgroupV2 | MemoryMethod::Sampled => None,
        };
        let memory = match (&containment.memory, &cgroup, &v1) {
            (MemoryMethod::CgroupV2, Some(cgroup), _) => Memory::v2(cgroup.path())?,
            (_, _, Some(v1)) => Memory::v1(v1.path()),
            _ => Memory::sampled(),
        };
        let process_tag = process_tag.to_owned();
        let members = Members { process_tag, number, cgroup, runner: OnceLock::new() };
        Ok(Tree { members, memory, v1 })
    }

    /// Returns the name and the value of the environment variable that all processes of the tree inherit.
    /// [`Tree::launch`] sets it.
    pub fn env(&self) -> (OsString, OsString) {
        let value = format!("{}.{}", self.members.process_tag, self.members.number);
        (PROCESS_TAG_VAR.into(), value.into())
    }

    /// Starts the runner in the tree, as the leader of a new process group. The kernel kills the runner when this
    /// thread ends.
    ///
    /// Call it once for each tree, on the main thread and inside a tokio runtime.
    pub fn launch(&self, mut launch: Launch) -> Result<Child, LaunchError> {
        let cgroups: io::Result<Vec<OwnedFd>> =
            self.members.cgroup.iter().chain(&self.v1).map(Cgroup::procs_fd).collect();
        let (variable, value) = self.env();
        launch.env.retain(|(name, _)| *name != variable);
        launch.env.push((variable, value));
        let child = spawn(launch, &cgroups.map_err(LaunchError::System)?, true)?;
        // If the tree had a runner already, that one stays registered. A second one is found by its cgroup or its tag.
        let _ = self.members.runner.set(child.key());
        Ok(child)
    }

    /// Sends a signal to the process group of the runner and, if the tree has a cgroup, to all its members.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.members.signal_process_group(signal);
        self.members.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.signal(signal))
    }

    /// Returns the pids of the running members other than the runner. Cheap, since it is called after every task.
    ///
    /// Processes that left their cgroup are missing here, but [`Tree::kill`] finds them. Without a cgroup, an orphan
    /// that removed its tag counts for the tree that asks first. So only one tree of a process should run a task at a
    /// time.
    pub fn others(&self) -> Vec<i32> {
        if self.members.cgroup.is_some() {
            reap_adopted();
        }
        let mut processes = ProcessSet::new();
        self.members.add_others(&mut processes);
        processes.keys().iter().map(|key| key.pid).collect()
    }

    /// Kills all members but the runner, repeatedly until none is left. Returns the number of
    /// killed processes. `Err` if processes are left after `timeout`.
    pub async fn kill_others(&self, timeout: Duration) -> Result<usize, Unkillable> {
        kill::kill_until_none(timeout, |processes| self.members.add_others(processes)).await
    }

    /// Kills all members and removes the cgroups of the tree. The runner is not reaped: its
    /// [`Child`] does that. May be called again. `Err` if processes are left after `timeout`.
    pub async fn kill(&mut self, timeout: Duration) -> Result<(), Unkillable> {
        self.members.kill(timeout).await?;
        for cgroup in self.members.cgroup.iter().chain(&self.v1) {
            kill::remove_cgroup(cgroup.path()).await;
        }
        Ok(())
    }

    /// Sets the memory limit of the tree in bytes. `None` removes the limit.
    ///
    /// Fails with `ResourceBusy` if a v1 cgroup already holds more.
    pub fn set_memory_limit(&mut self, bytes: Option<u64>) -> io::Result<()> {
        self.memory.set_limit(bytes)
    }

    /// Returns the memory of the tree in bytes if it has exceeded the limit since the limit was set, otherwise `None`.
    ///
    /// With a cgroup, the kernel has then killed a process of the tree. Otherwise this call is the measurement itself:
    /// repeat it several times a second.
    pub fn memory_exceeded(&self) -> Option<u64> {
        let limit = self.memory.limit()?;
        if !self.memory.is_sampled() {
            return self.memory.has_killed().then(|| self.memory.peak().max(limit));
        }
        // The cheap sum counts a shared page once for each process. Only if this sum is too high, the exact and costly
        // measurement is needed.
        if self.usage().memory_bytes <= limit {
            return None;
        }
        Some(proportional_bytes(&self.runner_and_others())).filter(|bytes| *bytes > limit)
    }

    /// Returns how many processes the kernel has killed because of the limit, since the tree was created.
    pub fn oom_kills(&self) -> u64 {
        self.memory.kills()
    }

    /// Resets the value that [`Tree::memory_peak`] returns.
    pub fn reset_memory_peak(&mut self) {
        self.memory.reset_peak();
    }

    /// Returns the most bytes that the tree used since the last reset: as its cgroup counted them, otherwise the
    /// highest value that [`Tree::usage`] measured.
    pub fn memory_peak(&self) -> u64 {
        self.memory.peak()
    }

    /// Measures the memory and the CPU time of the tree.
    pub fn usage(&self) -> Usage {
        let mut usage = usage_of(&self.runner_and_others());
        if let Some(cpu_ms) = self.members.cgroup.as_ref().and_then(Cgroup::cpu_ms) {
            usage.cpu_ms = cpu_ms;
        }
        self.memory.record_sample(usage.memory_bytes);
        usage
    }

    fn runner_and_others(&self) -> BTreeSet<ProcessKey> {
        let mut processes = ProcessSet::new();
        self.members.add_others(&mut processes);
        self.members.live_runner().map(|runner| processes.add(runner));
        processes.into_keys()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.members.send_kill();
        for cgroup in self.members.cgroup.iter().chain(&self.v1) {
            cgroup.remove_or_leave();
        }
    }
}
