//! The registry of child processes: which children this crate started, and which ones are adopted orphans.
//!
//! A subreaper becomes the parent of every orphan below it. Such orphans are left over from process trees: they are
//! killed with their tree and reaped here. A started child is reaped by its [`Child`](crate::Child). Children from
//! before [`become_subreaper`], and those passed to [`exempt`], are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::descendants::{children_of, own_children};
use crate::procfs::{ProcessKey, Stat};

/// The children of this process that are not adopted orphans.
struct ChildRegistry {
    /// The started children that are not reaped yet, by pid. Until a child is reaped, no other process can get its pid.
    started: BTreeMap<i32, ProcessKey>,
    /// The children that this crate never touches.
    exempted: BTreeSet<ProcessKey>,
    /// The children whose [`Child`](crate::Child) was dropped before they ended.
    dropped: Vec<(ProcessKey, OwnedFd)>,
}

static CHILD_REGISTRY: Mutex<ChildRegistry> = Mutex::new(ChildRegistry {
    started: BTreeMap::new(),
    exempted: BTreeSet::new(),
    dropped: Vec::new(),
});

/// Makes this process the parent of all orphans below it, from now on. Exempts its present
/// children, including those that it started before it executed its program again.
pub fn become_subreaper() -> io::Result<()> {
    static BECOME: Once = Once::new();
    if BECOME.is_completed() {
        return Ok(());
    }
    BECOME.call_once(|| {});
    children_of(std::process::id() as i32).into_iter().for_each(exempt);
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Exempts a child that this crate did not start, so that it does not count as an adopted orphan.
pub fn exempt(pid: i32) {
    if let Some(stat) = Stat::read(pid) {
        registry().exempted.insert(stat.key);
    }
}

/// Reaps the adopted children that have ended, so that none stays a zombie. Does not block. Returns their number.
pub fn reap_adopted() -> usize {
    reap_dropped();
    adopted_stats().into_iter().filter(|stat| stat.is_dead() && reap(stat.key.pid)).count()
}

/// Returns the adopted children that run, and reaps those that have ended.
pub(crate) fn adopted() -> Vec<ProcessKey> {
    reap_dropped();
    let (dead, alive): (Vec<Stat>, Vec<Stat>) =
        adopted_stats().into_iter().partition(Stat::is_dead);
    for stat in dead {
        reap(stat.key.pid);
    }
    alive.into_iter().map(|stat| stat.key).collect()
}

/// Registers a child whose exit is awaited by its [`Child`](crate::Child).
pub(crate) fn register(key: ProcessKey) {
    registry().started.insert(key.pid, key);
}

/// Removes a child that has been reaped: its pid may be used again.
pub(crate) fn unregister(key: ProcessKey) {
    registry().started.remove(&key.pid);
}

/// Takes over a child whose [`Child`](crate::Child) was dropped, and reaps it after its end.
pub(crate) fn reap_later(key: ProcessKey, pidfd: OwnedFd) {
    registry().dropped.push((key, pidfd));
}

/// Returns whether the child has not been reaped yet. Until then its pid and its process group are its own.
pub(crate) fn is_unreaped(key: ProcessKey) -> bool {
    registry().started.get(&key.pid) == Some(&key)
}

fn adopted_stats() -> Vec<Stat> {
    let own = std::process::id() as i32;
    let mut children = own_children();
    let registry = registry();
    children.retain(|pid| !registry.started.contains_key(pid));
    let stats = children.into_iter().filter_map(Stat::read);
    stats.filter(|stat| stat.parent == own && !registry.exempted.contains(&stat.key)).collect()
}

fn reap_dropped() {
    let mut registry = registry();
    let ChildRegistry { started, dropped, .. } = &mut *registry;
    dropped.retain(|(key, pidfd)| {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let still_runs = matches!(waitid(WaitId::PidFd(pidfd.as_fd()), options), Ok(None));
        if !still_runs {
            started.remove(&key.pid);
        }
        still_runs
    });
}

/// Reaps a zombie child. Call it only for a zombie: nothing else can free the pid of a zombie in between.
fn reap(pid: i32) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    Pid::from_raw(pid).is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_))))
}

fn registry() -> MutexGuard<'static, ChildRegistry> {
    CHILD_REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}
