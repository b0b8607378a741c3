//! Killing what must be looked for: look, kill, look again, until nothing is left.
//!
//! A process that forks as fast as we look is stopped before it is killed: what is stopped cannot
//! fork, so each look finds fewer that run, while one that is killed makes room for its next child.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cgroup::remove_folder;
use crate::found::{Found, strike};
use crate::offspring::reap_adopted;
use crate::procfs::{Seen, Stat};

/// Processes that did not die in time: they wait in the kernel, or are not ours to kill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unkillable: pid {}", pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", "))]
pub struct Unkillable {
    /// Which; in ascending order.
    pub pids: Vec<i32>,
}

/// Between two looks, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));

/// From this look on, whatever is new is taken for the work of somebody who forks.
const FREEZE_FROM: usize = 3;

/// An emptied cgroup may be busy for a moment after its last process was waited for.
const REMOVAL_PATIENCE: Duration = Duration::from_millis(500);

/// Kills whatever `look` finds until it finds nothing, and tells how many that were.
pub(crate) async fn until_gone(
    patience: Duration,
    look: impl Fn(&mut Found),
) -> Result<usize, Unkillable> {
    let deadline = Instant::now() + patience;
    let mut killed = BTreeSet::new();
    let mut pause = PAUSES.0;
    for round in 0.. {
        reap_adopted();
        let mut found = seen_by(&look);
        if found.is_empty() {
            break;
        }
        if round >= FREEZE_FROM && !found.is_subset(&killed) {
            found = freeze(found, &look, deadline).await;
        }
        for seen in &found {
            strike(*seen, Signal::SIGKILL);
        }
        killed.extend(found.iter().copied());
        if Instant::now() >= deadline {
            return Err(Unkillable { pids: found.iter().map(|seen| seen.pid).collect() });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
    Ok(killed.len())
}

/// Removes a folder in which nothing runs any more; one that stays is only untidy.
pub(crate) async fn remove(folder: &Path) {
    let began = Instant::now();
    while let Err(error) = remove_folder(folder) {
        if began.elapsed() >= REMOVAL_PATIENCE {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove a cgroup");
            return;
        }
        tokio::time::sleep(PAUSES.0).await;
    }
}

/// Stops all that `look` finds until it finds nobody new, or until the deadline. One that is about
/// to fork may do so until it has really stopped, so that is waited for before each look.
async fn freeze(
    found: BTreeSet<Seen>,
    look: &impl Fn(&mut Found),
    deadline: Instant,
) -> BTreeSet<Seen> {
    let mut stopped = BTreeSet::new();
    let mut new = found;
    while !new.is_empty() && Instant::now() < deadline {
        for seen in &new {
            strike(*seen, Signal::SIGSTOP);
        }
        while !new.iter().all(is_still) && Instant::now() < deadline {
            tokio::time::sleep(PAUSES.0).await;
        }
        stopped.append(&mut new);
        new = seen_by(look).difference(&stopped).copied().collect();
    }
    stopped.append(&mut new);
    stopped
}

fn seen_by(look: &impl Fn(&mut Found)) -> BTreeSet<Seen> {
    let mut found = Found::to_kill();
    look(&mut found);
    found.into_all()
}

fn is_still(seen: &Seen) -> bool {
    Stat::read(seen.pid).is_none_or(|stat| stat.seen != *seen || stat.is_still())
}
