//! Complete: a run ends, and with it, perhaps, its task. Whoever ends it, it ends here.

use serde_json::Value;
use tokio_postgres::types::Type;

use crate::{
    claim::{Fence, Payload},
    connect::{Db, Param},
    error::Result,
    state::State,
};

/// What happened to a run. What becomes of its task follows from it and from the operation's
/// attempts and `retry_lost`; a task that was asked to end becomes `aborted` whatever happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It returned, or exited with 0.
    Done,
    /// An error, an exit code, a signal, out of memory, out of time: uses an attempt.
    Failed,
    /// What no further attempt can mend: the input, the output, the code itself.
    Refused,
    /// Nobody saw its end.
    Lost,
    /// Somebody asked for its end.
    Aborted,
    /// The grace of a drain was over.
    Drained,
    /// It was claimed and its code never began.
    Unbegun,
}

impl Outcome {
    /// The word for it, as the schema stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Refused => "refused",
            Outcome::Lost => "lost",
            Outcome::Aborted => "aborted",
            Outcome::Drained => "drained",
            Outcome::Unbegun => "unbegun",
        }
    }
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Completion {
    /// Which run.
    pub fence: Fence,
    /// What happened to it.
    pub outcome: Outcome,
    /// The cause in words, `exit code 3`; none where it is done.
    pub reason: Option<String>,
    /// `{kind, message, traceback}`, where the code itself reported one.
    pub error: Option<Value>,
    /// What it gave; none leaves what was saved under way.
    pub output: Payload,
    /// Milliseconds since its code began; none: it never did.
    pub elapsed_ms: Option<i64>,
    /// The most memory that its process tree used, in bytes, where it was measured.
    pub memory_peak: Option<i64>,
    /// Milliseconds until the next attempt, where the error asks for it.
    pub retry_in_ms: Option<i64>,
    /// The revision of the code that ran.
    pub revision: Option<String>,
}

impl Completion {
    /// The end of a run of which nothing more is known than what happened and why.
    pub fn new(fence: Fence, outcome: Outcome, reason: Option<String>) -> Completion {
        Completion {
            fence,
            outcome,
            reason,
            error: None,
            output: Payload::None,
            elapsed_ms: None,
            memory_peak: None,
            retry_in_ms: None,
            revision: None,
        }
    }
}

/// What became of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded now; the task is in this state.
    Now(State),
    /// It was recorded before: the answer to it was lost.
    Already,
    /// The run is not current any more: nothing was changed.
    Stale,
}

/// Records the end of a run.
pub async fn complete(db: &Db, end: &Completion) -> Result<Recorded> {
    let values = Values::of(end);
    match db.query_opt(STATEMENT, &values.params()).await? {
        Some(row) => Ok(Recorded::Now(State::stored(row.get(0)))),
        None => recorded(db, end.fence).await,
    }
}

/// The statement; its parameters are [`Values::params`], its one row the task's new state.
pub(crate) const STATEMENT: &str = include_str!("sql/complete.sql");

/// What the statement is given.
pub(crate) struct Values<'a> {
    end: &'a Completion,
    outcome: &'static str,
    reason: Option<String>,
    error: Option<String>,
    json: Option<&'a str>,
    bytes: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    pub(crate) fn of(end: &'a Completion) -> Values<'a> {
        let (json, bytes) = end.output.columns();
        Values {
            end,
            outcome: end.outcome.as_str(),
            reason: end.reason.as_deref().map(without_nul),
            error: end.error.as_ref().map(Value::to_string),
            json,
            bytes,
        }
    }

    pub(crate) fn params(&self) -> [Param<'_>; 12] {
        let Completion { fence, .. } = self.end;
        [
            (&fence.task, Type::INT8),
            (&fence.run, Type::INT8),
            (&fence.token, Type::UUID),
            (&self.outcome, Type::TEXT),
            (&self.reason, Type::TEXT),
            (&self.error, Type::TEXT),
            (&self.json, Type::TEXT),
            (&self.bytes, Type::BYTEA),
            (&self.end.elapsed_ms, Type::INT8),
            (&self.end.memory_peak, Type::INT8),
            (&self.end.retry_in_ms, Type::INT8),
            (&self.end.revision, Type::TEXT),
        ]
    }
}

/// Whether a run that is not current any more has its end in the books.
pub(crate) async fn recorded(db: &Db, fence: Fence) -> Result<Recorded> {
    let params: [Param<'_>; 3] =
        [(&fence.task, Type::INT8), (&fence.run, Type::INT8), (&fence.token, Type::UUID)];
    let row = db.query_one(include_str!("sql/recorded.sql"), &params).await?;
    let before: Option<&str> = row.get(0);
    Ok(if before.is_some() { Recorded::Already } else { Recorded::Stale })
}

/// Postgres' `text` holds every character but this one.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}
