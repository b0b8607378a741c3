//! An abort: somebody wants a run to end.

use rework_core::task::{complete::Completion, fence::Fence};
use rework_wire::worker::AbortCause;

use crate::verdict::{StopReason, Verdict};

/// Which run is to end, and why.
#[derive(Debug)]
pub(crate) struct Abort {
    pub task: i64,
    pub run: i64,
    pub cause: AbortCause,
    pub reason: String,
}

impl Abort {
    /// Whether this run is meant.
    pub(crate) fn names(&self, fence: Fence) -> bool {
        (self.task, self.run) == (fence.task, fence.run)
    }

    /// Why an open run is stopped.
    pub(crate) fn stop_reason(&self) -> StopReason {
        StopReason::Abort(self.cause, self.reason.clone())
    }

    /// What is recorded of a run whose code has not started.
    pub(crate) fn verdict(&self) -> Verdict {
        self.stop_reason().verdict_if_not_started()
    }

    /// The end of such a run.
    pub(crate) fn completion(&self, fence: Fence) -> Completion {
        let Verdict { outcome, reason } = self.verdict();
        Completion::new(fence, outcome, reason)
    }
}
