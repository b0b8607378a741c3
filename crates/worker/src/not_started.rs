//! Why a run ended before its code started.

use crate::{run_result::RunResult, start_error::StartError, supervisor::LeaseLost};

/// The reason why a run ended before its code started.
pub(crate) enum NotStarted {
    /// The run ended with this result.
    RunResult(RunResult),
    /// The run could not be started.
    Error(StartError),
    /// The lease was lost, so the run must not be recorded.
    LeaseLost,
}

impl From<LeaseLost> for NotStarted {
    fn from(_: LeaseLost) -> NotStarted {
        NotStarted::LeaseLost
    }
}

impl From<StartError> for NotStarted {
    fn from(error: StartError) -> NotStarted {
        NotStarted::Error(error)
    }
}
