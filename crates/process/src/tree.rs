//! What one runner and everything that descends from it live in: how it is entered, looked at,
//! signalled, and killed to the last process.
//!
//! On the cgroup rung the kernel knows the members. On the processes rung they are found again and
//! again: the runner's process group, what is below it, the orphans that we adopted, and whatever
//! carries the tree's mark in its environment. Both end the same way: nothing is left, or
//! [`Unkillable`] names what is.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;
use rework_wire::worker::{MARK_VAR, MemoryRung};

use crate::cgroup::Group;
use crate::child::Child;
use crate::containment::Containment;
use crate::found::Found;
use crate::kill::{self, Unkillable};
use crate::launch::{Launch, LaunchError, spawn};
use crate::members::Members;
use crate::memory::Memory;
use crate::offspring::reap_adopted;
use crate::procfs::{FOLDER_PREFIX, Seen};
use crate::usage::{Usage, proportional_bytes, usage_of};

/// One runner with all that descends from it. Dropping it kills what can be killed at once;
/// [`Tree::kill`] is how it is meant to end.
#[derive(Debug)]
pub struct Tree {
    members: Members,
    memory: Memory,
    /// The v1 `memory` folder, where that rung limits memory.
    v1: Option<Group>,
}

impl Tree {
    /// Makes what the tree lives in. `mark` is the worker's; it has letters, digits, `-` and `_`.
    /// What is left over under the same mark and number in a cgroup is killed.
    pub fn new(containment: &Containment, mark: &str, number: u32) -> io::Result<Tree> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if mark.is_empty() || !mark.bytes().all(sound) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a mark of a worker"));
        }
        let name = format!("{FOLDER_PREFIX}{mark}-{number}");
        let make = |place: &Path| Group::make(place, &name);
        let group = containment.cgroup.as_deref().map(make).transpose()?;
        let v1 = match &containment.memory {
            MemoryRung::CgroupV1(place) => Some(make(Path::new(place))?),
            MemoryRung::CgroupV2 | MemoryRung::Sampled => None,
        };
        let memory = match (&containment.memory, &group, &v1) {
            (MemoryRung::CgroupV2, Some(group), _) => Memory::v2(group.path())?,
            (_, _, Some(v1)) => Memory::v1(v1.path()),
            _ => Memory::sampled(),
        };
        let members = Members { mark: mark.to_owned(), number, group, runner: OnceLock::new() };
        Ok(Tree { members, memory, v1 })
    }

    /// The variable that all of the tree inherits, and its value; [`Tree::launch`] sets it.
    pub fn env(&self) -> (OsString, OsString) {
        (MARK_VAR.into(), format!("{}.{}", self.members.mark, self.members.number).into())
    }

    /// Starts the tree's runner in it: leader of a process group, killed by the kernel when this
    /// thread ends. Once in a tree's life; on the main thread, inside a tokio runtime.
    pub fn launch(&self, mut launch: Launch) -> Result<Child, LaunchError> {
        let entries: io::Result<Vec<OwnedFd>> =
            self.members.group.iter().chain(&self.v1).map(Group::entry).collect();
        let (mark, value) = self.env();
        launch.env.retain(|(name, _)| *name != mark);
        launch.env.push((mark, value));
        let child = spawn(launch, &entries.map_err(LaunchError::System)?, true)?;
        // A tree that had a runner already keeps that one in mind: a second one is found by its
        // cgroup or its mark.
        let _ = self.members.runner.set(child.seen());
        Ok(child)
    }

    /// Sends a signal to the runner's process group and, on the cgroup rung, to all of the tree.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.members.signal_group(signal);
        self.members.group.as_ref().map_or(Ok(()), |group| group.signal(signal))
    }

    /// The pids of what runs in the tree besides the runner. Cheap: asked after every task. What
    /// escaped from its cgroup, and [`Tree::kill`] would still find, is not among them. Without a
    /// cgroup, an orphan that threw off its mark counts for whichever tree of ours asks first: only
    /// one of them is to have a task in hand.
    pub fn others(&self) -> Vec<i32> {
        if self.members.group.is_some() {
            reap_adopted();
        }
        let mut found = Found::new();
        self.members.add_others(&mut found);
        found.all().iter().map(|seen| seen.pid).collect()
    }

    /// Kills all but the runner, again and again until nothing is left, and tells how many there
    /// were.
    pub async fn kill_others(&self, patience: Duration) -> Result<usize, Unkillable> {
        kill::until_gone(patience, |found| self.members.add_others(found)).await
    }

    /// Kills all of the tree, and removes its folders when nothing of it is left. The runner is
    /// left for its [`Child`] to be waited for. May be called again.
    pub async fn kill(&mut self, patience: Duration) -> Result<(), Unkillable> {
        self.members.kill(patience).await?;
        for group in self.members.group.iter().chain(&self.v1) {
            kill::remove(group.path()).await;
        }
        Ok(())
    }

    /// Sets the most bytes that the tree may take, or lifts the limit.
    ///
    /// The error is of kind `ResourceBusy` when a v1 cgroup holds more already.
    pub fn set_memory_limit(&mut self, bytes: Option<u64>) -> io::Result<()> {
        self.memory.set_limit(bytes)
    }

    /// If the tree passed its limit of memory since it was set: the bytes that it had. On the
    /// cgroup rungs the kernel has killed a process of it; on the sampled rung this is the look
    /// itself, to be repeated several times a second.
    pub fn exceeded(&self) -> Option<u64> {
        let limit = self.memory.limit()?;
        if !self.memory.is_sampled() {
            return self.memory.has_killed().then(|| self.memory.peak().max(limit));
        }
        // Shared pages count once for each in the cheap sum; only a sum that is too high is worth
        // the exact look.
        if self.usage().memory_bytes <= limit {
            return None;
        }
        Some(proportional_bytes(&self.all())).filter(|bytes| *bytes > limit)
    }

    /// How many processes the kernel killed for the limit in the tree's life.
    pub fn oom_kills(&self) -> u64 {
        self.memory.kills()
    }

    /// From here on [`Tree::memory_peak`] counts anew.
    pub fn memory_peak_reset(&mut self) {
        self.memory.reset_peak();
    }

    /// The most bytes that the tree had since the reset: as its cgroup counted them, else the
    /// highest that [`Tree::usage`] saw.
    pub fn memory_peak(&self) -> u64 {
        self.memory.peak()
    }

    /// What the tree uses now.
    pub fn usage(&self) -> Usage {
        let mut usage = usage_of(&self.all());
        if let Some(cpu_ms) = self.members.group.as_ref().and_then(Group::cpu_ms) {
            usage.cpu_ms = cpu_ms;
        }
        self.memory.note(usage.memory_bytes);
        usage
    }

    fn all(&self) -> BTreeSet<Seen> {
        let mut found = Found::new();
        self.members.add_others(&mut found);
        self.members.live_runner().map(|runner| found.add(runner));
        found.into_all()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.members.strike_at_once();
        for group in self.members.group.iter().chain(&self.v1) {
            group.remove_soon();
        }
    }
}
