//! From what was seen of a run's end to its outcome and cause in words. Pure.

use std::time::Duration;

use rework_core::{
    task::complete::Outcome,
    values::quantity,
    wire::{
        runner::{Failure, Retry},
        worker::AbortCause,
    },
};
use rework_process::Exit;

/// What a worker decided about a run before its process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// Somebody asked for its end.
    Abort(AbortCause, String),
    /// Its time is over.
    Timeout(Duration),
    /// Its tree is past its memory.
    Memory {
        /// Bytes seen.
        used: u64,
        /// Bytes allowed.
        limit: u64,
        /// Seen by looking, not by the kernel.
        sampled: bool,
    },
    /// Its runner broke the protocol.
    Broken(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What happened.
    pub outcome: Outcome,
    /// The cause in words.
    pub reason: Option<String>,
}

impl Verdict {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Verdict {
        Verdict { outcome, reason: Some(reason.into()) }
    }

    /// It returned.
    pub(crate) fn done() -> Verdict {
        Verdict { outcome: Outcome::Done, reason: None }
    }

    /// No further attempt can mend it.
    pub(crate) fn refused(reason: impl Into<String>) -> Verdict {
        Verdict::new(Outcome::Refused, reason)
    }
}

impl Sentence {
    /// The end of a run that was sentenced before it had begun: after a drain it waits for another
    /// worker.
    pub(crate) fn unbegun(&self) -> Verdict {
        match self {
            Sentence::Abort(AbortCause::Drained, reason) => {
                Verdict::new(Outcome::Unbegun, reason.clone())
            }
            sentence => sentence.verdict(),
        }
    }

    /// The end of a run that was sentenced, whatever its process did about it.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Sentence::Abort(AbortCause::Asked, reason) => {
                Verdict::new(Outcome::Aborted, reason.clone())
            }
            Sentence::Abort(AbortCause::Drained, reason) => {
                Verdict::new(Outcome::Drained, reason.clone())
            }
            Sentence::Timeout(limit) => Verdict::new(
                Outcome::Failed,
                format!(
                    "timed out after {}",
                    quantity::show_milliseconds(limit.as_millis() as i64)
                ),
            ),
            Sentence::Memory { used, limit, sampled } => {
                let sampled = if *sampled { " (sampled)" } else { "" };
                let (used, limit) =
                    (quantity::show_bytes(*used as i64), quantity::show_bytes(*limit as i64));
                Verdict::new(Outcome::Failed, format!("out of memory: {used} of {limit}{sampled}"))
            }
            Sentence::Broken(how) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: &str, retry: Retry) -> Failure {
        Failure {
            task: 1,
            run: 1,
            kind: kind.to_owned(),
            message: "oops\nmore".to_owned(),
            traceback: None,
            retry,
            span: None,
        }
    }

    #[test]
    fn every_end_has_its_cause() {
        let told = |verdict: Verdict| (verdict.outcome, verdict.reason.unwrap_or_default());
        let killed = Exit::Signal { signal: 9, core: false };
        let cases = [
            (of_exit(Exit::Code(0), true), Outcome::Done, ""),
            (of_exit(Exit::Code(3), true), Outcome::Failed, "exit code 3"),
            (of_exit(killed, false), Outcome::Failed, "signal 9 (killed)"),
            (of_failure(&failure("error", Retry::Usual)), Outcome::Failed, "oops"),
            (of_failure(&failure("error", Retry::GiveUp)), Outcome::Refused, "oops"),
            (of_failure(&failure("panic", Retry::Usual)), Outcome::Failed, "panic: oops"),
            (
                of_failure(&failure("input", Retry::Usual)),
                Outcome::Refused,
                "the input does not fit: oops",
            ),
            (
                Sentence::Timeout(Duration::from_secs(300)).verdict(),
                Outcome::Failed,
                "timed out after 5m",
            ),
            (
                Sentence::Memory { used: 2_254_857_830, limit: 2 << 30, sampled: true }.verdict(),
                Outcome::Failed,
                "out of memory: 2.1 GiB of 2 GiB (sampled)",
            ),
            (Sentence::Abort(AbortCause::Drained, "bye".into()).verdict(), Outcome::Drained, "bye"),
        ];
        for (verdict, outcome, reason) in cases {
            assert_eq!(told(verdict), (outcome, reason.to_owned()));
        }
    }
}
