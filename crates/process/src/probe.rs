//! Which rungs this machine lets us stand on, found by trying: a folder is made, a process moved
//! into it, a limit written, and all of it undone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rework_core::control::MemoryRung;

use crate::cgroup::Group;
use crate::containment::{Containment, ContainmentWish, MemoryWish, Wish};
use crate::hierarchy::{own_v1_memory, own_v2, read_pids};
use crate::launch::try_entering;

/// The child cgroup that this process moves into when its own must hold no process.
const LEAF: &str = "rework-monitor";

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

pub(crate) fn detect(wish: Wish) -> Result<Containment, DetectError> {
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

/// Has the kernel count the memory of the folders below `place`.
fn try_memory_v2(place: &Path) -> io::Result<()> {
    if !lists(&place.join("cgroup.controllers"), "memory")? {
        return Err(explain("the `memory` controller is not handed down to us"));
    }
    let enabled_before = lists(&place.join("cgroup.subtree_control"), "memory")?;
    let leaf = if enabled_before { None } else { enable(place)? };
    let tried = with_probe(place, |group| {
        fs::write(group.path().join("memory.max"), "1073741824")?;
        try_entering(&group.entry()?)
    });
    if tried.is_err() && !enabled_before {
        disable(place, leaf.as_deref());
    }
    tried
}

/// A cgroup whose controllers are handed down may hold no process itself (but the root may), so we
/// leave it for a child first, if it is ours alone.
fn enable(place: &Path) -> io::Result<Option<PathBuf>> {
    let control = place.join("cgroup.subtree_control");
    if fs::write(&control, "+memory").is_ok() {
        drop(fs::write(&control, "+pids"));
        return Ok(None);
    }
    if read_pids(place)? != [std::process::id() as i32] {
        return Err(explain("our cgroup holds other processes too"));
    }
    let leaf = place.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let enabled =
        fs::write(leaf.join("cgroup.procs"), "0").and_then(|()| fs::write(&control, "+memory"));
    if enabled.is_err() {
        disable(place, Some(&leaf));
    }
    enabled?;
    drop(fs::write(&control, "+pids"));
    Ok(Some(leaf))
}

/// Undoes [`enable`] as far as it goes; what remains of it does no harm.
fn disable(place: &Path, leaf: Option<&Path>) {
    let control = place.join("cgroup.subtree_control");
    drop(fs::write(&control, "-pids"));
    drop(fs::write(&control, "-memory"));
    if let Some(leaf) = leaf {
        drop(fs::write(place.join("cgroup.procs"), "0"));
        drop(fs::remove_dir(leaf));
    }
}

fn with_probe(place: &Path, attempt: impl FnOnce(&Group) -> io::Result<()>) -> io::Result<()> {
    let group = Group::make(place, &format!("rework-probe-{}", std::process::id()))?;
    let result = attempt(&group);
    result.and(group.remove())
}

fn lists(file: &Path, controller: &str) -> io::Result<bool> {
    Ok(fs::read_to_string(file)?.split_ascii_whitespace().any(|name| name == controller))
}

fn explain(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
