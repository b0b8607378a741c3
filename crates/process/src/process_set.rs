//! A set of processes, filled by one search through a tree.
//!
//! A search that precedes a kill can stop processes as soon as it finds them. Otherwise processes that fork as fast as
//! they can would leave no CPU time for the search.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::pidfd;
use crate::procfs::{ProcessKey, running_process};

/// The number of processes that a search for a kill leaves running. An ordinary tree seldom has more, and 16 forking
/// processes leave enough CPU time for the search.
const MAX_RUNNING: usize = 16;

/// A set of running processes.
#[derive(Debug, Default)]
pub(crate) struct ProcessSet {
    keys: BTreeSet<ProcessKey>,
    /// Whether [`ProcessSet::add`] stops processes beyond the first [`MAX_RUNNING`].
    stops_excess: bool,
}

impl ProcessSet {
    /// Creates an empty set for a search that changes nothing.
    pub(crate) fn new() -> ProcessSet {
        ProcessSet::default()
    }

    /// Creates an empty set of processes that will be killed. All but the first [`MAX_RUNNING`] are stopped when they
    /// are added.
    pub(crate) fn to_kill() -> ProcessSet {
        ProcessSet { keys: BTreeSet::new(), stops_excess: true }
    }

    /// Adds a running process. Returns whether it was not in the set before.
    pub(crate) fn add(&mut self, key: ProcessKey) -> bool {
        let is_new = self.keys.insert(key);
        if is_new && self.stops_excess && self.keys.len() > MAX_RUNNING {
            try_signal(key, Signal::SIGSTOP);
        }
        is_new
    }

    /// Adds those of these processes that run.
    pub(crate) fn add_pids(&mut self, pids: impl IntoIterator<Item = i32>) {
        for key in pids.into_iter().filter_map(running_process) {
            self.add(key);
        }
    }

    pub(crate) fn keys(&self) -> &BTreeSet<ProcessKey> {
        &self.keys
    }

    pub(crate) fn into_keys(self) -> BTreeSet<ProcessKey> {
        self.keys
    }
}

/// Sends a signal to a process if it still runs. An error is only logged: the next search finds the process again.
pub(crate) fn try_signal(key: ProcessKey, signal: Signal) {
    if let Err(error) = pidfd::signal_process(key, signal) {
        tracing::debug!(pid = key.pid, %signal, %error, "cannot signal a process");
    }
}
