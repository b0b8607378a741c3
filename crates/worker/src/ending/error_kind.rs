//! The kind of the error of a run that failed. Retry policies name kinds (`on`, `not_on`); docs/tasks.md lists them.
//!
//! If the code reported no error, the kind is the beginning of the reason: `exit code 3`, `signal 9`, `timed out`.

use rework_process::Exit;

use super::RunEnd;
use crate::run_result::StopReason;

/// The kind if the runner did not follow the protocol.
const RUNNER: &str = "runner";

/// Returns the kind of the error with which a run ended. `None` if the end is no failure. The reason to stop a run
/// outweighs how it ended.
pub(super) fn error_kind(end: &RunEnd, stop: Option<&StopReason>) -> Option<String> {
    match (end, stop) {
        (_, Some(stop)) | (RunEnd::Stopped(stop), None) => match stop {
            StopReason::Timeout(_) => Some("timed out".to_owned()),
            StopReason::OutOfMemory { .. } => Some("out of memory".to_owned()),
            StopReason::Broken(_) => Some(RUNNER.to_owned()),
            StopReason::Abort(..) => None,
        },
        (RunEnd::Failed(failure), None) => Some(failure.kind.clone()),
        (RunEnd::Exited(Exit::Code(code)), None) => Some(format!("exit code {code}")),
        (RunEnd::Exited(Exit::Signal { signal, .. }), None) => Some(format!("signal {signal}")),
        (RunEnd::SocketClosed, None) => Some(RUNNER.to_owned()),
        (RunEnd::Done | RunEnd::NotStarted | RunEnd::RunnerKilled(_), None) => None,
    }
}
