//! Which rungs this machine lets us stand on, found by trying: a folder is made, a process moved
//! into it, a limit written, and all of it undone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rework_wire::worker::MemoryRung;

use crate::cgroup::Group;
use crate::containment::Containment;
use crate::delegate::{LEAF, hand_down};
use crate::hierarchy::{own_v1_memory, own_v2};
use crate::launch::try_entering;
use crate::wish::{ContainmentWish, MemoryWish, Wish};

/// A rung that was asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// `--containment cgroup`.
    #[error("processes cannot be held by a cgroup here")]
    Containment(#[source] io::Error),
    /// `--memory cgroup`.
    #[error("memory cannot be limited by a cgroup here")]
    Memory(#[source] io::Error),
}

impl Containment {
    /// Tries what this machine lets us do; what is wished for and cannot be had is an error.
    /// It starts processes (that execute nothing) and, where only this process lives in its cgroup,
    /// may move it into a child `rework-monitor`, as cgroup v2 wants it.
    pub fn detect(wish: Wish) -> Result<Containment, DetectError> {
        let cgroup = match wish.containment {
            ContainmentWish::Processes => None,
            ContainmentWish::Auto => try_v2().ok(),
            ContainmentWish::Cgroup => Some(try_v2().map_err(DetectError::Containment)?),
        };
        let processes = wish.containment == ContainmentWish::Processes;
        let memory = match wish.memory {
            MemoryWish::Sampled => MemoryRung::Sampled,
            MemoryWish::Auto if processes => MemoryRung::Sampled,
            MemoryWish::Auto => try_memory(cgroup.as_deref()).unwrap_or(MemoryRung::Sampled),
            MemoryWish::Cgroup => try_memory(cgroup.as_deref()).map_err(DetectError::Memory)?,
        };
        Ok(Containment { cgroup, memory })
    }
}

/// The folder in which trees can have theirs.
fn try_v2() -> io::Result<PathBuf> {
    let own = own_v2().ok_or_else(|| explain("no cgroup v2 is mounted, or we are not in it"))?;
    // Where we moved into the leaf earlier, or were put there, trees go beside it.
    let place = match own.parent() {
        Some(parent) if own.ends_with(LEAF) => parent.to_owned(),
        _ => own,
    };
    with_probe(&place, |group| {
        if !group.path().join("cgroup.kill").exists() {
            return Err(explain("`cgroup.kill` is missing: it came with Linux 5.14"));
        }
        fs::write(group.path().join("cgroup.kill"), "1")?;
        try_entering(&group.entry()?)
    })?;
    Ok(place)
}

fn try_memory(cgroup: Option<&Path>) -> io::Result<MemoryRung> {
    if let Some(place) = cgroup
        && try_memory_v2(place).is_ok()
    {
        return Ok(MemoryRung::CgroupV2);
    }
    let own = own_v1_memory().ok_or_else(|| explain("no cgroup has the `memory` controller"))?;
    with_probe(&own, |group| {
        fs::write(group.path().join("memory.limit_in_bytes"), "1073741824")?;
        fs::read_to_string(group.path().join("memory.oom_control"))?;
        try_entering(&group.entry()?)
    })?;
    Ok(MemoryRung::CgroupV1(own.to_string_lossy().into_owned()))
}

/// Has the kernel count the memory of the folders below `place`, and their processes if it can.
fn try_memory_v2(place: &Path) -> io::Result<()> {
    let memory = hand_down(place, "memory")?;
    let tried = with_probe(place, |group| {
        fs::write(group.path().join("memory.max"), "1073741824")?;
        try_entering(&group.entry()?)
    });
    match tried {
        Ok(()) => drop(hand_down(place, "pids")),
        Err(_) => memory.undo(),
    }
    tried
}

fn with_probe(place: &Path, attempt: impl FnOnce(&Group) -> io::Result<()>) -> io::Result<()> {
    let group = Group::make(place, &format!("rework-probe-{}", std::process::id()))?;
    let result = attempt(&group);
    result.and(group.remove())
}

fn explain(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
