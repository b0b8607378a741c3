//! Killing processes that have to be searched for: search, kill, and search again until nothing is found.
//!
//! If processes fork as fast as they are killed, they are stopped first. A stopped process cannot fork, so each search
//! finds fewer new processes. Killing alone would only make room for the next children.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cgroup::remove_folder;
use crate::child_registry::reap_adopted;
use crate::process_set::{ProcessSet, try_signal};
use crate::procfs::{ProcessKey, Stat};

/// The error if processes did not die in time: they wait inside the kernel, or this user may not kill them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unkillable: pid {}", pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", "))]
pub struct Unkillable {
    /// The pids of the processes that still run, in ascending order.
    pub pids: Vec<i32>,
}

/// The pause after the first search. A killed process usually ends within a millisecond.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between two searches. The pause doubles up to this value.
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// The search (counted from 0) from which on new processes are taken as a sign that the tree forks on purpose. Earlier
/// searches may find new processes that were just being started.
const FREEZE_FROM_ROUND: usize = 3;

/// How long to try to remove an empty cgroup. It may be busy for a moment after its last process was reaped.
const REMOVE_TIMEOUT: Duration = Duration::from_millis(500);

/// Kills the processes that `search` finds until it finds none. Returns the number of killed processes.
pub(crate) async fn kill_until_none(
    timeout: Duration,
    search: impl Fn(&mut ProcessSet),
) -> Result<usize, Unkillable> {
    let deadline = Instant::now() + timeout;
    let mut killed = BTreeSet::new();
    let mut pause = FIRST_PAUSE;
    for round in 0.. {
        reap_adopted();
        let mut processes = find_all(&search);
        if processes.is_empty() {
            break;
        }
        if round >= FREEZE_FROM_ROUND && !processes.is_subset(&killed) {
            processes = freeze(processes, &search, deadline).await;
        }
        for key in &processes {
            try_signal(*key, Signal::SIGKILL);
        }
        killed.extend(processes.iter().copied());
        if Instant::now() >= deadline {
            return Err(Unkillable { pids: processes.iter().map(|key| key.pid).collect() });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
    Ok(killed.len())
}

/// Removes an empty cgroup directory. A failure is only logged, because an empty directory does no harm.
pub(crate) async fn remove_cgroup(folder: &Path) {
    let started_at = Instant::now();
    while let Err(error) = remove_folder(folder) {
        if started_at.elapsed() >= REMOVE_TIMEOUT {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove a cgroup");
            return;
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

/// Stops the processes that `search` finds until it finds no new one, or until the deadline. Returns all of them.
///
/// A process may still fork until its stop has taken effect. So each search waits until all known processes have
/// stopped.
async fn freeze(
    found: BTreeSet<ProcessKey>,
    search: &impl Fn(&mut ProcessSet),
    deadline: Instant,
) -> BTreeSet<ProcessKey> {
    let mut stopped = BTreeSet::new();
    let mut new = found;
    while !new.is_empty() && Instant::now() < deadline {
        for key in &new {
            try_signal(*key, Signal::SIGSTOP);
        }
        while !new.iter().all(cannot_fork) && Instant::now() < deadline {
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        stopped.append(&mut new);
        new = find_all(search).difference(&stopped).copied().collect();
    }
    stopped.append(&mut new);
    stopped
}

fn find_all(search: &impl Fn(&mut ProcessSet)) -> BTreeSet<ProcessKey> {
    let mut processes = ProcessSet::to_kill();
    search(&mut processes);
    processes.into_keys()
}

fn cannot_fork(key: &ProcessKey) -> bool {
    Stat::read(key.pid).is_none_or(|stat| stat.key != *key || stat.cannot_fork())
}
