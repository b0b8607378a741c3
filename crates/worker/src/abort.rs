//! An abort: the request that a run should stop. `run_loop/abort.rs` carries it out.

use rework_core::task::{complete::Completion, fence::Fence};
use rework_wire::worker::AbortCause;

use crate::run_result::{RunResult, StopReason};

/// The run that should stop, and why.
#[derive(Debug)]
pub(crate) struct Abort {
    pub task: i64,
    pub run: i64,
    pub cause: AbortCause,
    pub reason: String,
}

impl Abort {
    /// Returns whether the abort is for this run.
    pub(crate) fn concerns(&self, fence: Fence) -> bool {
        (self.task, self.run) == (fence.task, fence.run)
    }

    /// Returns the reason to stop the run if it is open.
    pub(crate) fn stop_reason(&self) -> StopReason {
        StopReason::Abort(self.cause, self.reason.clone())
    }

    /// Returns the result of the run if its code has not started.
    pub(crate) fn result(&self) -> RunResult {
        self.stop_reason().result_if_not_started()
    }

    /// Returns the end of the run, for the recorder, if its code has not started.
    pub(crate) fn completion(&self, fence: Fence) -> Completion {
        let RunResult { outcome, reason } = self.result();
        Completion::new(fence, outcome, reason)
    }
}
