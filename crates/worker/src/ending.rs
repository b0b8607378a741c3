//! From what was seen of a run to what is recorded of it: outcome, cause in words, output. Pure.

use std::time::Instant;

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
};
use serde_json::json;

use crate::verdict::{StopReason, Verdict, of_exit, of_failure};

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

#[cfg(test)]
mod tests;
