//! Whom one look found. In a look that is to kill, a crowd is stopped on sight: those who fork as
//! fast as they can would leave no CPU time for finding the rest of them.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::pidfd;
use crate::procfs::{Seen, seen_alive};

/// More than an honest tree has as a rule, few enough to leave us time.
const CROWD: usize = 16;

/// The processes that were found, each once.
#[derive(Debug, Default)]
pub(crate) struct Found {
    all: BTreeSet<Seen>,
    stops_crowds: bool,
}

impl Found {
    /// To be told about only.
    pub(crate) fn new() -> Found {
        Found::default()
    }

    /// To be killed: who is found in a crowd is stopped.
    pub(crate) fn to_kill() -> Found {
        Found { all: BTreeSet::new(), stops_crowds: true }
    }

    /// Adds a process that runs; tells whether it is new.
    pub(crate) fn add(&mut self, seen: Seen) -> bool {
        let is_new = self.all.insert(seen);
        if is_new && self.stops_crowds && self.all.len() > CROWD {
            strike(seen, Signal::SIGSTOP);
        }
        is_new
    }

    /// Adds those of these pids that run.
    pub(crate) fn add_pids(&mut self, pids: impl IntoIterator<Item = i32>) {
        for seen in pids.into_iter().filter_map(seen_alive) {
            self.add(seen);
        }
    }

    pub(crate) fn all(&self) -> &BTreeSet<Seen> {
        &self.all
    }

    pub(crate) fn into_all(self) -> BTreeSet<Seen> {
        self.all
    }
}

/// Sends a signal to a process if it still is who it was; one that we may not signal will be found
/// again.
pub(crate) fn strike(seen: Seen, signal: Signal) {
    if let Err(error) = pidfd::strike(seen, signal) {
        tracing::debug!(pid = seen.pid, %signal, %error, "cannot signal a process");
    }
}
