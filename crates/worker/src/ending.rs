//! From what was seen of a run to what is recorded of it: outcome, cause in words, output. Pure.

use std::time::{Duration, Instant};

use rework_core::{
    task::{
        complete::{Completion, Outcome},
        fence::Fence,
        payload::Payload,
    },
    values::quantity,
};
use rework_process::Exit;
use rework_wire::{
    operation::MAX_PAYLOAD_BYTES,
    runner::{Failure, Retry},
    worker::AbortCause,
};
use serde_json::json;

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

/// How one run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The code says that it returned.
    Done,
    /// The code says that it failed.
    Failed(Failure),
    /// It was taken back before its code started.
    NotStarted,
    /// Its process ended while the run was open.
    Exited(Exit),
    /// The worker killed its process, for this reason.
    Stopped(StopReason),
    /// Its process was killed for the sake of another run, as these words say.
    RunnerKilled(String),
    /// Its runner closed the socket and did not exit.
    SocketClosed,
}

/// Why a runner is of no more use, so that all runs that are open in it end.
#[derive(Debug)]
pub(crate) enum RunnerEnd {
    /// The process ended.
    Exited(Exit),
    /// A run of this task was told to stop and did not stop within its grace.
    GraceOver {
        /// The task.
        task: i64,
    },
    /// It sent something that the protocol does not allow, or cannot be read from.
    Broken(String),
    /// Its process tree uses too much memory.
    OutOfMemory(StopReason),
    /// It closed its socket and did not exit.
    SocketClosed,
}

impl From<std::io::Error> for RunnerEnd {
    /// What the runner writes cannot be read.
    fn from(error: std::io::Error) -> RunnerEnd {
        RunnerEnd::Broken(error.to_string())
    }
}

/// The end of one run that was open when its runner ended.
///
/// `stop` is the reason for which the run itself was told to stop. `started` says whether its code had started.
/// `blamed` says whether the run can be the cause: its code had started, or it was the first run that
/// a new runner was given, and the runner has never started any.
pub(crate) fn end_with_runner(
    runner: &RunnerEnd,
    stop: Option<&StopReason>,
    started: bool,
    blamed: bool,
) -> End {
    match (runner, stop) {
        (_, Some(_)) if !started => End::NotStarted,
        (RunnerEnd::Exited(exit), _) => End::Exited(*exit),
        (_, Some(stop)) => End::Stopped(stop.clone()),
        (RunnerEnd::GraceOver { task }, None) => End::RunnerKilled(format!(
            "its runner was killed: task {task}, open beside it, did not end"
        )),
        (_, None) if !blamed => {
            End::RunnerKilled("its runner was killed before it began".to_owned())
        }
        (RunnerEnd::Broken(why), None) => End::Stopped(StopReason::Broken(why.clone())),
        (RunnerEnd::OutOfMemory(reason), None) => End::Stopped(reason.clone()),
        (RunnerEnd::SocketClosed, None) => End::SocketClosed,
    }
}

/// All that was seen of a run.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The run.
    pub fence: Fence,
    /// How it ended.
    pub end: End,
    /// Why it was told to stop; `None` if it was not.
    pub stop: Option<StopReason>,
    /// Whether its code had started.
    pub started: bool,
    /// Whether an end of its process is its own doing, as in [`end_with_runner`].
    pub blamed: bool,
    /// When it started and ended.
    pub span: (Instant, Instant),
    /// The last output that it sent.
    pub output: Payload,
    /// What a command left in its output file, or why that cannot be stored; `None` for a run of an SDK's runner.
    pub output_file: Option<Result<Payload, String>>,
    /// The most memory that its process tree used, in bytes, if that was measured.
    pub memory_peak: Option<i64>,
    /// The revision of the code that ran.
    pub revision: String,
}

/// What is recorded of a run.
pub(crate) fn completion(seen: Seen) -> Completion {
    let is_command = seen.output_file.is_some();
    let mut verdict = verdict(&seen.end, seen.stop.as_ref(), seen.blamed, seen.started, is_command);
    let (output, refusal) = output(seen.output, seen.output_file);
    if let Some(refusal) = refusal
        && seen.stop.is_none()
        && verdict.outcome == Outcome::Done
    {
        verdict = refusal;
    }
    let failure = match seen.end {
        End::Failed(failure) => Some(failure),
        _ => None,
    };
    let retry_in_ms = match failure.as_ref().map(|failure| failure.retry) {
        Some(Retry::InMs(ms)) => i64::try_from(ms).ok(),
        _ => None,
    };
    let error =
        failure.map(|f| json!({"kind": f.kind, "message": f.message, "traceback": f.traceback}));
    Completion {
        error,
        output,
        retry_in_ms,
        began: seen.started.then_some(seen.span.0),
        ended: seen.span.1,
        memory_peak: seen.memory_peak,
        revision: Some(seen.revision),
        ..Completion::new(seen.fence, verdict.outcome, verdict.reason)
    }
}

/// The output to store, and why it is refused if it cannot be stored.
fn output(sent: Payload, file: Option<Result<Payload, String>>) -> (Payload, Option<Verdict>) {
    let output = match file {
        Some(Ok(written)) => written,
        Some(Err(why)) => {
            let why = format!("the output cannot be stored: {why}");
            return (sent, Some(Verdict::refused(why)));
        }
        None => sent,
    };
    if output.bytes() > MAX_PAYLOAD_BYTES {
        return (Payload::None, Some(Verdict::refused(too_large(output.bytes()))));
    }
    (output, None)
}

/// Why an output of this many bytes is refused.
pub(crate) fn too_large(bytes: u64) -> String {
    let show = |bytes: u64| quantity::show_bytes(bytes as i64);
    format!("the output cannot be stored: {} of at most {}", show(bytes), show(MAX_PAYLOAD_BYTES))
}

fn verdict(
    end: &End,
    stop: Option<&StopReason>,
    blamed: bool,
    started: bool,
    is_command: bool,
) -> Verdict {
    match (end, stop) {
        (End::NotStarted, Some(stop)) => stop.verdict_if_not_started(),
        (_, Some(stop)) | (End::Stopped(stop), None) => stop.verdict(),
        (End::Done, None) => Verdict::done(),
        (End::Failed(failure), None) => of_failure(failure),
        (End::NotStarted, None) => {
            Verdict::new(Outcome::Unbegun, "it was taken back before it began")
        }
        (End::Exited(exit), None) if !blamed => {
            Verdict::new(Outcome::Unbegun, format!("its runner ended before it began: {exit}"))
        }
        (End::Exited(exit), None) => of_exit(*exit, is_command),
        (End::RunnerKilled(why), None) => {
            Verdict::new(if started { Outcome::Lost } else { Outcome::Unbegun }, why.clone())
        }
        (End::SocketClosed, None) => {
            Verdict::new(Outcome::Failed, "its runner closed its socket and did not end")
        }
    }
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
    fn new(outcome: Outcome, reason: impl Into<String>) -> Verdict {
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
                StopReason::Timeout(Duration::from_secs(300)).verdict(),
                Outcome::Failed,
                "timed out after 5m",
            ),
            (
                StopReason::OutOfMemory { used: 2_254_857_830, limit: 2 << 30, sampled: true }
                    .verdict(),
                Outcome::Failed,
                "out of memory: 2.1 GiB of 2 GiB (sampled)",
            ),
            (
                StopReason::Abort(AbortCause::Drained, "bye".into()).verdict(),
                Outcome::Drained,
                "bye",
            ),
        ];
        for (verdict, outcome, reason) in cases {
            assert_eq!(told(verdict), (outcome, reason.to_owned()));
        }
    }

    fn seen(end: End, stop: Option<StopReason>) -> Seen {
        let now = Instant::now();
        Seen {
            fence: Fence { task: 1, run: 1, token: uuid::Uuid::nil() },
            end,
            stop,
            started: true,
            blamed: true,
            span: (now, now),
            output: Payload::Json("1".to_owned()),
            output_file: None,
            memory_peak: None,
            revision: "1.0".to_owned(),
        }
    }

    fn recorded(seen: Seen) -> (Outcome, String, Payload) {
        let completion = completion(seen);
        (completion.outcome, completion.reason.unwrap_or_default(), completion.output)
    }

    fn drained() -> StopReason {
        StopReason::Abort(AbortCause::Drained, "bye".to_owned())
    }

    #[test]
    fn the_reason_to_stop_a_run_outweighs_how_it_ended() {
        let one = Payload::Json("1".to_owned());
        let stopped = [End::Done, End::Exited(Exit::Code(3)), End::SocketClosed];
        for end in stopped {
            let expected = (Outcome::Drained, "bye".to_owned(), one.clone());
            assert_eq!(recorded(seen(end, Some(drained()))), expected);
        }
        let not_started = recorded(seen(End::NotStarted, Some(drained())));
        assert_eq!(not_started.0, Outcome::Unbegun, "after a drain another worker runs it");
        let timeout = StopReason::Timeout(Duration::from_secs(1));
        let failed = End::Failed(failure("error", Retry::InMs(7)));
        let completion = completion(seen(failed, Some(timeout)));
        assert_eq!(completion.reason.as_deref(), Some("timed out after 1s"));
        assert_eq!(completion.error.unwrap()["message"], "oops\nmore", "its own error is kept");
        assert_eq!(completion.retry_in_ms, Some(7));
    }

    #[test]
    fn an_output_that_cannot_be_stored_refuses_a_run_that_is_done() {
        let of_command =
            |end, stop| Seen { output_file: Some(Err("not JSON".to_owned())), ..seen(end, stop) };
        let done = recorded(of_command(End::Exited(Exit::Code(0)), None));
        assert_eq!(
            (done.0, done.1.as_str()),
            (Outcome::Refused, "the output cannot be stored: not JSON")
        );
        let failed = recorded(of_command(End::Exited(Exit::Code(3)), None));
        assert_eq!((failed.0, failed.1.as_str()), (Outcome::Failed, "exit code 3"));
        let stopped = recorded(of_command(End::Exited(Exit::Code(0)), Some(drained())));
        assert_eq!(stopped.0, Outcome::Drained);
        let large = Payload::Bytes(vec![0; MAX_PAYLOAD_BYTES as usize + 1]);
        let large = recorded(Seen { output: large, ..seen(End::Done, None) });
        assert_eq!((large.0, large.2), (Outcome::Refused, Payload::None));
    }

    #[test]
    fn a_run_that_cannot_be_the_cause_of_its_runners_end_is_run_again() {
        let said = |runner: &RunnerEnd, stop: Option<StopReason>, started, blamed| {
            let end = end_with_runner(runner, stop.as_ref(), started, blamed);
            let (outcome, reason, _) = recorded(Seen { started, blamed, ..seen(end, stop) });
            (outcome, reason)
        };
        let grace_over = RunnerEnd::GraceOver { task: 17 };
        let neighbour = "its runner was killed: task 17, open beside it, did not end".to_owned();
        assert_eq!(
            said(&grace_over, Some(drained()), true, true),
            (Outcome::Drained, "bye".into())
        );
        assert_eq!(said(&grace_over, Some(drained()), false, false).0, Outcome::Unbegun);
        assert_eq!(said(&grace_over, None, true, true), (Outcome::Lost, neighbour.clone()));
        assert_eq!(said(&grace_over, None, false, false), (Outcome::Unbegun, neighbour));
        let broken = RunnerEnd::Broken("no frame".to_owned());
        assert_eq!(said(&broken, None, true, true).0, Outcome::Failed);
        assert_eq!(
            said(&broken, None, false, true).0,
            Outcome::Failed,
            "the first of a new runner"
        );
        assert_eq!(said(&broken, None, false, false).0, Outcome::Unbegun);
        let exited = RunnerEnd::Exited(Exit::Code(3));
        assert_eq!(said(&exited, None, true, true), (Outcome::Failed, "exit code 3".into()));
        let early = (Outcome::Unbegun, "its runner ended before it began: exit code 3".into());
        assert_eq!(said(&exited, None, false, false), early);
        let (_, silent) = said(&RunnerEnd::SocketClosed, None, true, true);
        assert_eq!(silent, "its runner closed its socket and did not end");
    }
}
