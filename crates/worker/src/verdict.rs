//! The outcome of a run and its cause in words: by its exit, by what its code reports, by why it was stopped. Pure.

use std::time::Duration;

use rework_core::{task::complete::Outcome, values::quantity};
use rework_process::Exit;
use rework_wire::{
    runner::{Failure, Retry},
    worker::AbortCause,
};

/// Why a worker stops a run before its code has ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Somebody asked for its end.
    Abort(AbortCause, String),
    /// It ran for longer than its operation's timeout.
    Timeout(Duration),
    /// Its process tree uses more memory than its operation allows.
    OutOfMemory {
        /// Bytes in use.
        used: u64,
        /// Bytes allowed.
        limit: u64,
        /// The worker measured it now and then; `false` if the kernel enforces the limit.
        sampled: bool,
    },
    /// Its runner sent something that the protocol does not allow.
    Broken(String),
}

/// What happened, as the queue records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What happened.
    pub outcome: Outcome,
    /// The cause in words.
    pub reason: Option<String>,
}

impl Verdict {
    pub(crate) fn new(outcome: Outcome, reason: impl Into<String>) -> Verdict {
        Verdict { outcome, reason: Some(reason.into()) }
    }

    /// The code returned.
    pub(crate) fn done() -> Verdict {
        Verdict { outcome: Outcome::Done, reason: None }
    }

    /// No further attempt can mend it.
    pub(crate) fn refused(reason: impl Into<String>) -> Verdict {
        Verdict::new(Outcome::Refused, reason)
    }
}

impl StopReason {
    /// What is recorded of a run that was stopped before its code started. After a drain it goes back to the queue,
    /// for another worker.
    pub(crate) fn verdict_if_not_started(&self) -> Verdict {
        match self {
            StopReason::Abort(AbortCause::Drained, reason) => {
                Verdict::new(Outcome::Unbegun, reason.clone())
            }
            reason => reason.verdict(),
        }
    }

    /// What is recorded of a run that was stopped, whatever its process did about it.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            StopReason::Abort(AbortCause::Asked, reason) => {
                Verdict::new(Outcome::Aborted, reason.clone())
            }
            StopReason::Abort(AbortCause::Drained, reason) => {
                Verdict::new(Outcome::Drained, reason.clone())
            }
            StopReason::Timeout(limit) => Verdict::new(
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
                Verdict::new(Outcome::Failed, format!("out of memory: {used} of {limit}{sampled}"))
            }
            StopReason::Broken(how) => {
                Verdict::new(Outcome::Failed, format!("the runner broke the protocol: {how}"))
            }
        }
    }
}

/// A process that ended by itself while its run was open. A command's exit is its result; an SDK's
/// runner says `done` first.
pub(crate) fn of_exit(exit: Exit, is_command: bool) -> Verdict {
    match exit {
        Exit::Code(0) if is_command => Verdict::done(),
        Exit::Code(0) => {
            Verdict::new(Outcome::Failed, "exit code 0 before the operation had returned")
        }
        exit => Verdict::new(Outcome::Failed, exit.to_string()),
    }
}

/// What the code itself reports.
pub(crate) fn of_failure(failure: &Failure) -> Verdict {
    let first = failure.message.lines().next().unwrap_or_default();
    match failure.kind.as_str() {
        Failure::INPUT => Verdict::refused(format!("the input does not fit: {first}")),
        Failure::OUTPUT => Verdict::refused(format!("the output cannot be stored: {first}")),
        Failure::LOAD => Verdict::refused(format!("the operation cannot be loaded: {first}")),
        _ if failure.retry == Retry::GiveUp => Verdict::refused(first),
        "panic" => Verdict::new(Outcome::Failed, format!("panic: {first}")),
        _ => Verdict::new(Outcome::Failed, first),
    }
}
