//! A run that this worker has claimed.

use rework_core::task::claim::Claimed;

/// Task and run: which run something is about, within one worker.
pub(crate) type Key = (i64, i64);

/// A claimed run, and its slot in the page of started runs.
#[derive(Debug)]
pub(crate) struct ClaimedRun {
    pub claimed: Claimed,
    pub slot: u32,
}

impl ClaimedRun {
    /// The task and the run.
    pub(crate) fn key(&self) -> Key {
        (self.claimed.fence.task, self.claimed.fence.run)
    }
}
