//! Which of our children we started, and which were adopted because their parents had ended.
//!
//! A subreaper becomes the parent of every orphan below it. Those are what trees leave behind, so
//! they are killed with their tree and waited for here; what we started ourselves is waited for by
//! its [`Child`](crate::Child), what was there before us is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::descendants::{children_of, own_children};
use crate::procfs::{Seen, Stat};

/// Children that are not ours to sweep, and those whose [`Child`](crate::Child) was dropped early.
struct Offspring {
    /// Nobody else can have their pids before they are waited for.
    started: BTreeMap<i32, Seen>,
    spared: BTreeSet<Seen>,
    abandoned: Vec<(Seen, OwnedFd)>,
}

static OFFSPRING: Mutex<Offspring> = Mutex::new(Offspring {
    started: BTreeMap::new(),
    spared: BTreeSet::new(),
    abandoned: Vec::new(),
});

/// From now on, orphans below this process become its children. The children that it has already
/// are spared, those too that it had before it executed itself anew.
pub fn become_subreaper() -> io::Result<()> {
    static BECOME: Once = Once::new();
    if BECOME.is_completed() {
        return Ok(());
    }
    BECOME.call_once(|| {});
    children_of(std::process::id() as i32).into_iter().for_each(spare);
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Keeps a child that this crate did not start from being taken for an adopted one.
pub fn spare(pid: i32) {
    if let Some(stat) = Stat::read(pid) {
        offspring().spared.insert(stat.seen);
    }
}

/// Waits for the adopted children that have ended, so that none stays a zombie, without blocking;
/// tells how many.
pub fn reap_adopted() -> usize {
    reap_abandoned();
    adopted_stats().into_iter().filter(|stat| stat.is_dead() && reap(stat.seen.pid)).count()
}

/// The adopted children that run. Those that have ended are waited for on the way.
pub(crate) fn adopted() -> Vec<Seen> {
    reap_abandoned();
    let (dead, alive): (Vec<Stat>, Vec<Stat>) =
        adopted_stats().into_iter().partition(Stat::is_dead);
    for stat in dead {
        reap(stat.seen.pid);
    }
    alive.into_iter().map(|stat| stat.seen).collect()
}

/// A child whose end is waited for by its owner.
pub(crate) fn started(seen: Seen) {
    offspring().started.insert(seen.pid, seen);
}

/// The child has been waited for: its pid is free.
pub(crate) fn ended(seen: Seen) {
    offspring().started.remove(&seen.pid);
}

/// The child's owner no longer cares; we wait for it when it has ended.
pub(crate) fn abandon(seen: Seen, pidfd: OwnedFd) {
    offspring().abandoned.push((seen, pidfd));
}

/// Whether the child has not been waited for yet, so that its pid and its process group are its own.
pub(crate) fn is_kept(seen: Seen) -> bool {
    offspring().started.get(&seen.pid) == Some(&seen)
}

fn adopted_stats() -> Vec<Stat> {
    let own = std::process::id() as i32;
    let mut children = own_children();
    let kept = offspring();
    children.retain(|pid| !kept.started.contains_key(pid));
    let stats = children.into_iter().filter_map(Stat::read);
    stats.filter(|stat| stat.parent == own && !kept.spared.contains(&stat.seen)).collect()
}

fn reap_abandoned() {
    let mut all = offspring();
    let Offspring { started, abandoned, .. } = &mut *all;
    abandoned.retain(|(seen, pidfd)| {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let still = matches!(waitid(WaitId::PidFd(pidfd.as_fd()), options), Ok(None));
        if !still {
            started.remove(&seen.pid);
        }
        still
    });
}

/// Only ever called for a zombie child of ours: nobody else can free its pid in between.
fn reap(pid: i32) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    Pid::from_raw(pid).is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_))))
}

fn offspring() -> MutexGuard<'static, Offspring> {
    OFFSPRING.lock().unwrap_or_else(PoisonError::into_inner)
}
