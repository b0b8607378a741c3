//! The runner protocol, version 1: the messages between a worker and a runner, the process that executes an operation's
//! code. `docs/runner-protocol.md` describes it for authors of SDKs; both must agree.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::operation::{Definition, Form};

/// The version of the protocol, which both sides send in `hello`.
pub const VERSION: u32 = 1;

/// The environment variable with the number of the inherited socket for frames, `3`.
pub const SOCKET_FD_VAR: &str = "REWORK_RUNNER_FD";

/// The descriptor of the socket for frames in a runner.
pub const SOCKET_FD: i32 = 3;

/// The environment variable with the number of the inherited shared memory of started runs, `4`.
pub const STARTED_RUNS_FD_VAR: &str = "REWORK_STARTED_RUNS_FD";

/// The descriptor of the shared memory of started runs in a runner.
pub const STARTED_RUNS_FD: i32 = 4;

/// The environment variable with the number of the inherited [send buffer](crate::send_buffer), `5`.
pub const SEND_BUFFER_FD_VAR: &str = "REWORK_SEND_BUFFER_FD";

/// The descriptor of the send buffer in a runner.
pub const SEND_BUFFER_FD: i32 = 5;

/// A message from a worker to its runner. Unknown keys are ignored; an unknown type is an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToRunner {
    /// The first message. The runner sends its own `hello` without waiting for this one.
    Hello { version: u32 },
    /// Run an operation. The body of the frame is the input: bytes if `raw`, otherwise JSON text.
    Run(RunRequest),
    /// Revoke a run that was sent ahead. If the runner has not started it, it answers `revoked`.
    Revoke { task: i64, run: i64 },
    /// Stop a run, because its abort was requested, it timed out, or the monitor drains.
    Abort {
        task: i64,
        run: i64,
        /// The reason, as a text for people.
        reason: String,
    },
    /// The answer to `schedule`.
    Scheduled {
        /// The task of the run that sent the request.
        parent: i64,
        /// The number of the run that sent the request.
        parent_run: i64,
        /// The number of the request within its run.
        number: u32,
        /// The id of the new task; `None` if it was not scheduled.
        task: Option<i64>,
        /// Why the task was not scheduled; `None` if it was.
        error: Option<String>,
    },
    /// Run the check of an operation, and answer `checked`. It is sent only for operations with a check.
    Check {
        /// The number of the check. The answer repeats it.
        number: u32,
        /// The domain of the operation.
        domain: String,
        /// The name of the operation.
        operation: String,
    },
    /// No more runs will come, so the runner should exit.
    Exit,
}

/// A run for a runner to execute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRequest {
    pub task: i64,
    /// The number of the run: how often the task has been claimed, from 1.
    pub run: i64,
    /// The index of the slot, the place in the shared memory of started runs in which the runner
    /// records the start of this run.
    #[serde(default)]
    pub slot: u32,
    /// The number of the attempt, from 1. Runs that were lost or not started do not count.
    pub attempt: i32,
    /// The domain of the operation.
    pub domain: String,
    /// The name of the operation.
    pub operation: String,
    /// The timeout of the run in milliseconds; `None` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Whether the body is bytes, not JSON text.
    #[serde(default)]
    pub raw: bool,
    /// Whether the task has an input, which is then the body of the frame.
    #[serde(default)]
    pub has_input: bool,
    /// The metadata that was given when the task was scheduled, as JSON that was not converted; `None` if none was
    /// given. A message with metadata can be read as a `RunRequest` only, not as a [`ToRunner`], because serde converts
    /// the fields of an enum with a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
    /// The boundary, a text that separates the output of two runs. The runner must write it to
    /// stdout and stderr after this run, between two [`BOUNDARY_DELIMITER`]s. The output after the
    /// boundary belongs to the next run. `None` if no run is sent ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
}

/// The byte before and after a boundary in the output: ASCII's record separator, which is rare in texts.
pub const BOUNDARY_DELIMITER: u8 = 0x1e;

/// Returns the bytes of a boundary, with its delimiters.
pub fn boundary_bytes(boundary: &str) -> Vec<u8> {
    [&[BOUNDARY_DELIMITER], boundary.as_bytes(), &[BOUNDARY_DELIMITER]].concat()
}

/// A message from a runner to its worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromRunner {
    /// The first message: what the program is and which operations it contains.
    Hello {
        version: u32,
        /// The name and version of the SDK, such as `rework-rust 0.1.0`.
        sdk: String,
        /// All operations of the program.
        operations: Vec<Definition>,
        /// Whether the runner accepts runs while another one is open, and writes boundaries between them.
        #[serde(default)]
        accepts_runs_ahead: bool,
    },
    /// A line of a logger. The body of the frame is its text in UTF-8.
    Log {
        task: i64,
        run: i64,
        /// The level: `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`.
        level: String,
        /// The name of the logger.
        logger: String,
        /// Whether the line is unfinished: the body of the next message of this logger and level continues it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    },
    /// The progress of a run.
    Progress {
        task: i64,
        run: i64,
        /// How many units are done.
        done: f64,
        /// How many units there are in total; `None` if that is unknown.
        total: Option<f64>,
        /// A text for people about the present step of the run; `None` if it reported no text.
        message: Option<String>,
    },
    /// The output of a run. The last one is kept. The body of the frame is bytes if `raw`, otherwise JSON text.
    Output {
        task: i64,
        run: i64,
        /// Whether the body is bytes, not JSON text.
        #[serde(default)]
        raw: bool,
    },
    /// Schedule another task. The body of the frame is its input: bytes if `raw`, otherwise JSON text.
    Schedule(ScheduleRequest),
    /// A waiting run has not started and will not, because the worker revoked or aborted it. A runner also sends this
    /// by itself if the run before it has left processes behind.
    Revoked { task: i64, run: i64 },
    /// The answer to `check`.
    Checked {
        /// The number of the check.
        number: u32,
        /// Why the operation is not available; `None` if it is.
        #[serde(default)]
        reason: Option<String>,
    },
    /// The code of a run returned. This is the last message about the run.
    Done(Done),
    /// The code of a run failed. This is the last message about the run.
    Failed(Failure),
}

/// A request of a run to schedule another task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleRequest {
    /// The task of the run that sends the request.
    pub task: i64,
    /// The number of the run that sends the request.
    pub run: i64,
    /// The number of the request within its run, from 1. A repeated number schedules no second task.
    pub number: u32,
    /// The name of the operation to run.
    pub operation: String,
    /// The domain of the operation; `None` if its name is unique.
    pub domain: Option<String>,
    /// The priority, higher first; `None` for the default of the operation.
    #[serde(default)]
    pub priority: Option<i16>,
    /// The delay before the task may start, in milliseconds; `None` if it may start at once.
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// Whether the new task has an input, which is then the body of the frame.
    #[serde(default)]
    pub has_input: bool,
    /// Whether the body is bytes, not JSON text.
    #[serde(default)]
    pub raw: bool,
}

/// The end of a run that returned. If `output` is present, the body of the frame is the last output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    pub task: i64,
    pub run: i64,
    /// The form of the output in the body; `None` if the body is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Form>,
    /// When the code started and ended; `None` if the runner does not measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// The times of the first and the last instruction of a run, in microseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When the first instruction ran.
    pub started_us: i64,
    /// When the last instruction ran.
    pub ended_us: i64,
}

/// The failure of a run, as its code reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    pub task: i64,
    pub run: i64,
    /// The kind of error: `error`, `panic`, the name of a type, or one of [`Failure::INPUT`], [`Failure::OUTPUT`] and
    /// [`Failure::LOAD`], which no further attempt can repair.
    pub kind: String,
    /// The error in one line.
    pub message: String,
    /// The causes and the stack; `None` if there are none.
    #[serde(default)]
    pub traceback: Option<String>,
    /// When to try again.
    #[serde(default)]
    pub retry: Retry,
    /// When the code started and ended; `None` if the runner does not measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

impl Failure {
    /// The kind of error if the input is not what the operation accepts.
    pub const INPUT: &str = "input";
    /// The kind of error if the output cannot be written as JSON.
    pub const OUTPUT: &str = "output";
    /// The kind of error if the program does not contain the operation, or cannot load it.
    pub const LOAD: &str = "load";
}

/// When a failed task is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// After the usual pause, while attempts remain.
    #[default]
    Usual,
    /// After this many milliseconds, while attempts remain.
    InMs(u64),
    /// After this many milliseconds, without using an attempt: the run is put off, and has not failed.
    PutOffMs(u64),
    /// Never.
    GiveUp,
}
