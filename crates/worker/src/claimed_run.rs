//! A run that this worker has claimed.

use rework_core::task::claim::ClaimedTask;

/// The task id and the run number, which together identify a run.
pub(crate) type RunKey = (i64, i64);

/// A claimed run and its slot in the shared memory of started runs.
#[derive(Debug)]
pub(crate) struct ClaimedRun {
    pub claimed: ClaimedTask,
    pub slot: u32,
}

impl ClaimedRun {
    /// Returns the task id and the run number.
    pub(crate) fn key(&self) -> RunKey {
        (self.claimed.fence.task, self.claimed.fence.run)
    }
}
