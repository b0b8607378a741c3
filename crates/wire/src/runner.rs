//! The runner protocol, version 1: what a worker and the process that holds an operation's code
//! say to each other. `docs/runner-protocol.md` is the same for people.

use serde::{Deserialize, Serialize};

use crate::operation::{Definition, Form};

/// The version that both sides name in `hello`.
pub const VERSION: u32 = 1;

/// Names the inherited socket on which frames travel: a number, `3`.
pub const SOCKET_FD_VAR: &str = "REWORK_RUNNER_FD";

/// The socket's number in the runner.
pub const SOCKET_FD: i32 = 3;

/// Names the inherited page of memory in which a runner notes what it has begun: a number, `4`.
pub const PAGE_FD_VAR: &str = "REWORK_PAGE_FD";

/// The page's number in the runner.
pub const PAGE_FD: i32 = 4;

/// Names the inherited [outbox](crate::outbox), where ends of runs may lie for a moment: a number, `5`.
pub const OUTBOX_FD_VAR: &str = "REWORK_OUTBOX_FD";

/// The outbox's number in the runner.
pub const OUTBOX_FD: i32 = 5;

/// What a worker says. Unknown keys are ignored, unknown types are an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToRunner {
    /// The first frame. A runner answers with its own.
    Hello {
        /// The protocol's version.
        version: u32,
    },
    /// Run an operation. The body is the input: JSON text, or any bytes where `raw`.
    Run(RunRequest),
    /// Take back a run that was sent ahead. A runner that has not begun it answers `revoked`.
    Revoke {
        /// The task.
        task: i64,
        /// Its run.
        run: i64,
    },
    /// End this run: somebody asked for it, or its time is over.
    Abort {
        /// The task.
        task: i64,
        /// Its run.
        run: i64,
        /// Why, in words.
        reason: String,
    },
    /// The answer to `schedule`.
    Scheduled {
        /// The task that asked.
        parent: i64,
        /// Its run.
        parent_run: i64,
        /// The number of the request within its run.
        number: u32,
        /// The new task, where it was scheduled.
        task: Option<i64>,
        /// Why not, where it was not.
        error: Option<String>,
    },
    /// No more runs will come: leave.
    Exit,
}

/// One run, as it is handed over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRequest {
    /// The task.
    pub task: i64,
    /// Which claim of the task this is, from 1.
    pub run: i64,
    /// The place in the page where the beginning of this run is noted, from 0.
    #[serde(default)]
    pub slot: u32,
    /// Which attempt that counts, from 1.
    pub attempt: i32,
    /// The domain of the operation.
    pub domain: String,
    /// The operation's name.
    pub operation: String,
    /// Milliseconds that the run may take; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// The body is bytes of no known form, not JSON.
    #[serde(default)]
    pub raw: bool,
    /// There is an input at all; a task may have none.
    #[serde(default)]
    pub has_input: bool,
    /// The task's metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// To be written on stdout and stderr when the run is over, between two [`MARK`]s: what comes
    /// behind it is the next run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// Stands before and behind the mark of a run on its streams: ASCII's record separator.
pub const MARK: u8 = 0x1e;

/// The bytes of a run's mark, as they stand on its streams.
pub fn mark_bytes(mark: &str) -> Vec<u8> {
    [&[MARK], mark.as_bytes(), &[MARK]].concat()
}

/// What a runner says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromRunner {
    /// Who it is and what it can run.
    Hello {
        /// The protocol's version.
        version: u32,
        /// Name and version of the SDK, `rework-rust 0.1.0`.
        sdk: String,
        /// Every operation of this program.
        operations: Vec<Definition>,
        /// It writes the marks of runs: they may be sent ahead, behind the one in hand.
        #[serde(default)]
        ahead: bool,
    },
    /// A line of a logger. Its text is the body, UTF-8.
    Log {
        /// The task.
        task: i64,
        /// Its run.
        run: i64,
        /// `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`.
        level: String,
        /// The logger's name.
        logger: String,
    },
    /// How far a run is.
    Progress {
        /// The task.
        task: i64,
        /// Its run.
        run: i64,
        /// How many are done.
        done: f64,
        /// Of how many, where it is known.
        total: Option<f64>,
        /// What is being done, in words.
        message: Option<String>,
    },
    /// The run's output; the last one counts. The body is JSON text, or any bytes where `raw`.
    Output {
        /// The task.
        task: i64,
        /// Its run.
        run: i64,
        /// The body is bytes of no known form.
        #[serde(default)]
        raw: bool,
    },
    /// Schedule another task. The body is its input, JSON text or, where `raw`, any bytes.
    Schedule(ScheduleRequest),
    /// A run that waited has not begun and will not: it was taken back, or the runner would not have
    /// it behind the one in hand.
    Revoked {
        /// The task.
        task: i64,
        /// Its run.
        run: i64,
    },
    /// The run returned.
    Done(Done),
    /// The run failed.
    Failed(Failure),
}

/// A task that a run wants to have scheduled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleRequest {
    /// The task that asks.
    pub task: i64,
    /// Its run.
    pub run: i64,
    /// The number of this request within its run, from 1: asked again, it is the same task.
    pub number: u32,
    /// The operation to run.
    pub operation: String,
    /// Its domain; `None` if the operation's name is enough to find it.
    pub domain: Option<String>,
    /// Higher first; `None` for the priority that the operation declares.
    #[serde(default)]
    pub priority: Option<i16>,
    /// Not before so many milliseconds from now.
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// There is an input at all.
    #[serde(default)]
    pub has_input: bool,
    /// The body is bytes of no known form.
    #[serde(default)]
    pub raw: bool,
}

/// The end of a run that returned. Where `output` says its form, the body is its last output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// The task.
    pub task: i64,
    /// Its run.
    pub run: i64,
    /// The form of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Form>,
    /// When it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// From the first instruction of a run to its last, in microseconds of the machine's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first.
    pub began_us: i64,
    /// Its last.
    pub ended_us: i64,
}

/// How a run failed, by its own account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// The task.
    pub task: i64,
    /// Its run.
    pub run: i64,
    /// The kind of error: `error`, `panic`, a type's name, or one of [`Failure::INPUT`],
    /// [`Failure::OUTPUT`] and [`Failure::LOAD`], which no further attempt can mend.
    pub kind: String,
    /// The error in one sentence.
    pub message: String,
    /// Where it came from: causes, stack.
    #[serde(default)]
    pub traceback: Option<String>,
    /// What the error itself asks for.
    #[serde(default)]
    pub retry: Retry,
    /// When it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

impl Failure {
    /// The input does not fit what the operation takes.
    pub const INPUT: &str = "input";
    /// The output cannot be written as JSON.
    pub const OUTPUT: &str = "output";
    /// The operation is not in this program, or could not be made ready.
    pub const LOAD: &str = "load";
}

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Whatever the operation's attempts and backoff say.
    #[default]
    Usual,
    /// Another attempt after so many milliseconds, while attempts remain.
    InMs(u64),
    /// No further attempt.
    GiveUp,
}
