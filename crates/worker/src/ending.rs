//! The end of a run: what is recorded of a run, calculated from the observations about the run:
//! outcome, reason and output. This file only calculates. The texts for single causes are in
//! `run_result.rs`, and the kinds of errors in `ending/error_kind.rs`.

mod error_kind;

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
    frame_socket::FrameSocketError,
    operation::MAX_PAYLOAD_BYTES,
    runner::{Failure, Retry},
};
use serde_json::{Value, json};

use self::error_kind::error_kind;
use crate::run_result::{RunResult, StopReason, result_of_exit, result_of_failure};

/// How one run ended.
#[derive(Debug)]
pub(crate) enum RunEnd {
    /// The code reported that it returned.
    Done,
    /// The code reported that it failed.
    Failed(Failure),
    /// The run was revoked before its code started.
    NotStarted,
    /// The process exited while the run was open.
    Exited(Exit),
    /// The worker killed the process, for this reason.
    Stopped(StopReason),
    /// The process was killed because of another run; the text is the reason.
    RunnerKilled(String),
    /// The runner closed its socket and did not exit.
    SocketClosed,
}

/// The reason why a runner cannot be used any more. All runs that are open in it end.
#[derive(Debug)]
pub(crate) enum RunnerEnd {
    /// The process exited.
    Exited(Exit),
    /// A run was ordered to stop and did not stop within its grace period.
    GraceOver {
        /// The id of the task of the run that did not stop.
        task: i64,
    },
    /// The runner sent something that the protocol does not allow.
    Broken(String),
    /// The system refused to read from the runner. That is not the fault of a run.
    Unreadable(String),
    /// The process tree uses too much memory.
    OutOfMemory(StopReason),
    /// The runner closed its socket and did not exit.
    SocketClosed,
}

impl From<std::io::Error> for RunnerEnd {
    /// Returns [`RunnerEnd::Unreadable`] with the text of an error that occurred while the worker read from the runner.
    fn from(error: std::io::Error) -> RunnerEnd {
        RunnerEnd::Unreadable(error.to_string())
    }
}

impl From<FrameSocketError> for RunnerEnd {
    /// Converts an error of receiving a frame.
    fn from(error: FrameSocketError) -> RunnerEnd {
        match error {
            FrameSocketError::Socket(error) => error.into(),
            FrameSocketError::Frame(error) => RunnerEnd::Broken(error.to_string()),
        }
    }
}

/// The reason why the output file of a command is not the output of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutputError {
    /// The command wrote something that cannot be stored. The text continues "the output cannot be stored: …".
    Refused(String),
    /// The file cannot be read, through no fault of the command.
    Unreadable(String),
}

/// Returns how one run ended that was open when its runner ended.
///
/// `stop` is the reason for which this run was ordered to stop, if it was. `started` is whether its code had started.
/// `at_fault` is whether this run may be the cause of the end: its code had started, or it is the first run of a new
/// runner that never started any.
pub(crate) fn end_with_runner(
    runner: &RunnerEnd,
    stop: Option<&StopReason>,
    started: bool,
    at_fault: bool,
) -> RunEnd {
    match (runner, stop) {
        (_, Some(_)) if !started => RunEnd::NotStarted,
        (RunnerEnd::Exited(exit), _) => RunEnd::Exited(*exit),
        (_, Some(stop)) => RunEnd::Stopped(stop.clone()),
        (RunnerEnd::GraceOver { task }, None) => RunEnd::RunnerKilled(format!(
            "its runner was killed: task {task}, open in the same runner, did not stop"
        )),
        (RunnerEnd::Unreadable(why), None) => RunEnd::RunnerKilled(format!(
            "its runner was killed, because its worker could not read from it: {why}"
        )),
        (_, None) if !at_fault => {
            RunEnd::RunnerKilled("its runner was killed before its code started".to_owned())
        }
        (RunnerEnd::Broken(why), None) => RunEnd::Stopped(StopReason::Broken(why.clone())),
        (RunnerEnd::OutOfMemory(reason), None) => RunEnd::Stopped(reason.clone()),
        (RunnerEnd::SocketClosed, None) => RunEnd::SocketClosed,
    }
}

/// Everything that the worker observed about a run.
#[derive(Debug)]
pub(crate) struct ObservedRun {
    pub fence: Fence,
    /// How the run ended.
    pub end: RunEnd,
    /// Why the run was ordered to stop; `None` if it received no such order.
    pub stop_reason: Option<StopReason>,
    /// Whether the code of the run had started.
    pub started: bool,
    /// Whether the run may be the cause of the end of its process, as in [`end_with_runner`].
    pub at_fault: bool,
    /// When the run started and when it ended.
    pub span: (Instant, Instant),
    /// The last output that the run sent.
    pub output: Payload,
    /// The content of a command's output file, or why it is not the output; `None` for a runner of an SDK.
    pub output_file: Option<Result<Payload, OutputError>>,
    /// The peak memory of the process tree, in bytes; `None` if it was not measured.
    pub memory_peak: Option<i64>,
    /// The revision of the code that ran.
    pub revision: String,
}

/// Returns the end of a run as it is recorded.
pub(crate) fn completion(observed: ObservedRun) -> Completion {
    let is_command = observed.output_file.is_some();
    let mut result = result_of_end(
        &observed.end,
        observed.stop_reason.as_ref(),
        observed.at_fault,
        observed.started,
        is_command,
    );
    let (output, refusal) = output_to_store(observed.output, observed.output_file);
    if let Some(refusal) = refusal
        && observed.stop_reason.is_none()
        && result.outcome == Outcome::Done
    {
        result = refusal;
    }
    let started = observed.started || result.outcome == Outcome::Done;
    let kind = error_kind(&observed.end, observed.stop_reason.as_ref());
    let failure = match observed.end {
        RunEnd::Failed(failure) => Some(failure),
        _ => None,
    };
    let retry_in_ms = match failure.as_ref().map(|failure| failure.retry) {
        // A longer pause than this type can hold is shortened to the longest one anyhow.
        Some(Retry::InMs(ms) | Retry::PutOffMs(ms)) => Some(i64::try_from(ms).unwrap_or(i64::MAX)),
        _ => None,
    };
    Completion {
        error: error_to_store(failure, kind, &result),
        output,
        retry_in_ms,
        // A run that is done has started, even if that could not be recorded in shared memory.
        started: started.then_some(observed.span.0),
        ended: observed.span.1,
        memory_peak: observed.memory_peak,
        revision: Some(observed.revision),
        ..Completion::new(observed.fence, result.outcome, result.reason)
    }
}

/// Returns the error to store: that of the code, with `kind` as its kind if that is not `None`. If a run failed without
/// an error of its own, its reason is the message. `None` if the run did not fail.
fn error_to_store(
    failure: Option<Failure>,
    kind: Option<String>,
    result: &RunResult,
) -> Option<Value> {
    match (result.outcome, failure) {
        (Outcome::PutOff, _) => None,
        (_, Some(failure)) => {
            let Failure { message, traceback, .. } = failure;
            let kind = kind.unwrap_or(failure.kind);
            Some(json!({"kind": kind, "message": message, "traceback": traceback}))
        }
        (Outcome::Failed, None) => {
            kind.map(|kind| json!({"kind": kind, "message": result.reason, "traceback": null}))
        }
        (_, None) => None,
    }
}

/// Returns the output to store, and the result of the run if its output cannot be stored, otherwise
/// `None`.
fn output_to_store(
    sent: Payload,
    file: Option<Result<Payload, OutputError>>,
) -> (Payload, Option<RunResult>) {
    let output = match file {
        Some(Ok(written)) => written,
        Some(Err(OutputError::Refused(why))) => {
            let why = format!("the output cannot be stored: {why}");
            return (sent, Some(RunResult::refused(why)));
        }
        Some(Err(OutputError::Unreadable(why))) => {
            let why = format!("its output could not be read: {why}");
            return (sent, Some(RunResult::new(Outcome::Lost, why)));
        }
        None => sent,
    };
    if output.bytes() > MAX_PAYLOAD_BYTES {
        return (Payload::None, Some(RunResult::refused(too_large(output.bytes()))));
    }
    (output, None)
}

/// Returns the reason to refuse an output of this many bytes.
pub(crate) fn too_large(bytes: u64) -> String {
    let show = |bytes: u64| quantity::show_bytes(bytes as i64);
    format!("the output cannot be stored: {} of at most {}", show(bytes), show(MAX_PAYLOAD_BYTES))
}

/// Returns the result of a run. A reason to stop it takes precedence over everything that its process did.
fn result_of_end(
    end: &RunEnd,
    stop: Option<&StopReason>,
    at_fault: bool,
    started: bool,
    is_command: bool,
) -> RunResult {
    match (end, stop) {
        (RunEnd::NotStarted, Some(stop)) => stop.result_if_not_started(),
        (_, Some(stop)) | (RunEnd::Stopped(stop), None) => stop.result(),
        (RunEnd::Done, None) => RunResult::done(),
        (RunEnd::Failed(failure), None) => result_of_failure(failure),
        (RunEnd::NotStarted, None) => {
            RunResult::new(Outcome::NotStarted, "it was revoked before its code started")
        }
        (RunEnd::Exited(exit), None) if !at_fault => RunResult::new(
            Outcome::NotStarted,
            format!("its runner exited before its code started: {exit}"),
        ),
        (RunEnd::Exited(exit), None) => result_of_exit(*exit, is_command),
        (RunEnd::RunnerKilled(why), None) => {
            RunResult::new(if started { Outcome::Lost } else { Outcome::NotStarted }, why.clone())
        }
        (RunEnd::SocketClosed, None) => {
            RunResult::new(Outcome::Failed, "its runner closed its socket and did not exit")
        }
    }
}

#[cfg(test)]
mod tests;
