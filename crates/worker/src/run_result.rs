//! The result of a run: its outcome and the reason as a text. It follows from the exit of its process, from what its
//! code reported, or from the reason to stop it. This file only calculates.

use std::time::Duration;

use rework_core::{task::complete::Outcome, values::quantity};
use rework_process::Exit;
use rework_wire::{
    runner::{Failure, Retry},
    worker::AbortCause,
};

/// The reason for which a worker stops a run before its code has ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The end of the run was requested, or the monitor drains. The text is the reason.
    Abort(AbortCause, String),
    /// The run exceeded the timeout of its operation, which is this long.
    Timeout(Duration),
    /// The process tree uses more memory than the operation allows.
    OutOfMemory {
        /// Bytes in use.
        used: u64,
        /// Bytes allowed.
        limit: u64,
        /// Whether the worker measured the memory from time to time; `false` if the kernel enforces
        /// the limit.
        sampled: bool,
    },
    /// The runner sent something that the protocol does not allow.
    Broken(String),
}

/// The outcome of a run and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunResult {
    /// The outcome, as the database records it.
    pub outcome: Outcome,
    /// The reason as a text for people; `None` if the run is done.
    pub reason: Option<String>,
}

impl RunResult {
    pub(crate) fn new(outcome: Outcome, reason: impl Into<String>) -> RunResult {
        RunResult { outcome, reason: Some(reason.into()) }
    }

    /// Returns the result of a run whose code returned.
    pub(crate) fn done() -> RunResult {
        RunResult { outcome: Outcome::Done, reason: None }
    }

    /// Returns the result of a run that no further attempt can make succeed.
    pub(crate) fn refused(reason: impl Into<String>) -> RunResult {
        RunResult::new(Outcome::Refused, reason)
    }
}

impl StopReason {
    /// Returns the result of a run that was stopped before its code started. After a drain the task is queued again,
    /// for another worker. With any other reason the result is the same as that of a run whose code had started.
    pub(crate) fn result_if_not_started(&self) -> RunResult {
        match self {
            StopReason::Abort(AbortCause::Drained, reason) => {
                RunResult::new(Outcome::NotStarted, reason.clone())
            }
            reason => reason.result(),
        }
    }

    /// Returns the result of a run that was stopped, whatever its process did then.
    pub(crate) fn result(&self) -> RunResult {
        match self {
            StopReason::Abort(AbortCause::Requested, reason) => {
                RunResult::new(Outcome::Aborted, reason.clone())
            }
            StopReason::Abort(AbortCause::Drained, reason) => {
                RunResult::new(Outcome::Drained, reason.clone())
            }
            StopReason::Timeout(limit) => RunResult::new(
                Outcome::Failed,
                format!(
                    "timed out after {}",
                    quantity::show_milliseconds(limit.as_millis() as i64)
                ),
            ),
            StopReason::OutOfMemory { used, limit, sampled } => {
                let sampled = if *sampled { " (sampled)" } else { "" };
                let (used, limit) =
                    (quantity::show_bytes(*used as i64), quantity::show_bytes(*limit as i64));
                RunResult::new(
                    Outcome::Failed,
                    format!("out of memory: {used} of {limit}{sampled}"),
                )
            }
            StopReason::Broken(why) => {
                RunResult::new(Outcome::Failed, format!("the runner broke the protocol: {why}"))
            }
        }
    }
}

/// Returns the result of a run whose process exited while the run was open. A command reports its result by its exit
/// code. A runner of an SDK sends `done` before it exits, so its exit code 0 is a failure.
pub(crate) fn result_of_exit(exit: Exit, is_command: bool) -> RunResult {
    match exit {
        Exit::Code(0) if is_command => RunResult::done(),
        Exit::Code(0) => {
            RunResult::new(Outcome::Failed, "exit code 0 before the operation had returned")
        }
        exit => RunResult::new(Outcome::Failed, exit.to_string()),
    }
}

/// Returns the result of a run whose code reported a failure.
pub(crate) fn result_of_failure(failure: &Failure) -> RunResult {
    let first_line = failure.message.lines().next().unwrap_or_default();
    match failure.kind.as_str() {
        Failure::INPUT => RunResult::refused(format!("invalid input: {first_line}")),
        Failure::OUTPUT => RunResult::refused(format!("the output cannot be stored: {first_line}")),
        Failure::LOAD => {
            RunResult::refused(format!("the operation cannot be loaded: {first_line}"))
        }
        _ if failure.retry == Retry::GiveUp => RunResult::refused(first_line),
        _ if matches!(failure.retry, Retry::PutOffMs(_)) => {
            RunResult::new(Outcome::PutOff, first_line)
        }
        "panic" => RunResult::new(Outcome::Failed, format!("panic: {first_line}")),
        _ => RunResult::new(Outcome::Failed, first_line),
    }
}
