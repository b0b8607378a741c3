//! Finding out by trial which containment and memory methods this host allows. Each trial creates a cgroup, moves a
//! process into it, writes a limit, and undoes everything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rework_wire::worker::MemoryMethod;

use crate::cgroup::Cgroup;
use crate::choice::{Choice, ContainmentChoice, MemoryChoice};
use crate::containment::Containment;
use crate::delegate::{LEAF, enable_controller};
use crate::hierarchy::{own_v1_memory, own_v2};
use crate::launch::check_can_enter;

/// The limit that a trial writes, in bytes (1 GiB). Its value does not matter: the cgroup holds no process for long.
const TRIAL_LIMIT: &str = "1073741824";

/// The error if this host does not allow the chosen method.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// This host does not allow cgroups for processes, but `--containment cgroup` requires them.
    #[error("this host does not allow cgroups for processes (option --containment)")]
    Containment(#[source] io::Error),
    /// This host does not allow cgroups for memory limits, but `--memory cgroup` requires them.
    #[error("this host does not allow cgroups for memory limits (option --memory)")]
    Memory(#[source] io::Error),
}

impl Containment {
    /// Finds the methods that this host allows, within the operator's choice. `Err` if the chosen method is not
    /// allowed.
    ///
    /// Starts processes that execute nothing. If this process is alone in its cgroup, it may move into the child cgroup
    /// `rework-monitor`, as cgroup v2 requires.
    pub fn detect(choice: Choice) -> Result<Containment, DetectError> {
        let cgroup = match choice.containment {
            ContainmentChoice::Processes => None,
            ContainmentChoice::Auto => find_cgroup_v2().ok(),
            ContainmentChoice::Cgroup => Some(find_cgroup_v2().map_err(DetectError::Containment)?),
        };
        let processes = choice.containment == ContainmentChoice::Processes;
        let find_memory = || find_memory_method(cgroup.as_deref());
        let memory = match choice.memory {
            MemoryChoice::Sampled => MemoryMethod::Sampled,
            MemoryChoice::Auto if processes => MemoryMethod::Sampled,
            MemoryChoice::Auto => find_memory().unwrap_or(MemoryMethod::Sampled),
            MemoryChoice::Cgroup => find_memory().map_err(DetectError::Memory)?,
        };
        Ok(Containment { cgroup, memory })
    }
}

/// Finds the cgroup v2 directory below which trees can have cgroups.
fn find_cgroup_v2() -> io::Result<PathBuf> {
    let own =
        own_v2().ok_or_else(|| error("no cgroup v2 is mounted that contains this process"))?;
    // If this process is in the child cgroup already, the trees belong next to that one.
    let parent = match own.parent() {
        Some(parent) if own.ends_with(LEAF) => parent.to_owned(),
        _ => own,
    };
    with_probe_cgroup(&parent, |cgroup| {
        if !cgroup.path().join("cgroup.kill").exists() {
            return Err(error("`cgroup.kill` is missing: it needs Linux 5.14 or newer"));
        }
        fs::write(cgroup.path().join("cgroup.kill"), "1")?;
        check_can_enter(&cgroup.procs_fd()?)
    })?;
    Ok(parent)
}

fn find_memory_method(cgroup: Option<&Path>) -> io::Result<MemoryMethod> {
    if let Some(parent) = cgroup
        && check_memory_v2(parent).is_ok()
    {
        return Ok(MemoryMethod::CgroupV2);
    }
    let own = own_v1_memory().ok_or_else(|| error("no cgroup has the `memory` controller"))?;
    with_probe_cgroup(&own, |cgroup| {
        fs::write(cgroup.path().join("memory.limit_in_bytes"), TRIAL_LIMIT)?;
        fs::read_to_string(cgroup.path().join("memory.oom_control"))?;
        check_can_enter(&cgroup.procs_fd()?)
    })?;
    Ok(MemoryMethod::CgroupV1(own.to_string_lossy().into_owned()))
}

/// Enables the `memory` controller below `parent` and tries it. Also enables `pids` if that is possible.
fn check_memory_v2(parent: &Path) -> io::Result<()> {
    let memory = enable_controller(parent, "memory")?;
    let tried = with_probe_cgroup(parent, |cgroup| {
        fs::write(cgroup.path().join("memory.max"), TRIAL_LIMIT)?;
        check_can_enter(&cgroup.procs_fd()?)
    });
    match tried {
        Ok(()) => drop(enable_controller(parent, "pids")),
        Err(_) => memory.undo(),
    }
    tried
}

fn with_probe_cgroup(
    parent: &Path,
    attempt: impl FnOnce(&Cgroup) -> io::Result<()>,
) -> io::Result<()> {
    let cgroup = Cgroup::create(parent, &format!("rework-probe-{}", std::process::id()))?;
    let result = attempt(&cgroup);
    result.and(cgroup.remove())
}

fn error(reason: &str) -> io::Error {
    io::Error::other(reason.to_owned())
}
