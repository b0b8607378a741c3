//! Complete: a run ends, and with it, perhaps, its task. Whoever ends it, it ends here.

use std::time::Instant;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use serde_json::Value;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        deadline::DEADLINE,
        error::Result,
        row::Columns,
    },
    task::{fence::Fence, payload::Payload, state::State},
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
    /// When its code began; none: it never did.
    pub began: Option<Instant>,
    pub ended: Instant,
    /// The most memory that its process tree used, in bytes, where it was measured.
    pub memory_peak: Option<i64>,
    /// Milliseconds until the next attempt, where the error asks for it.
    pub retry_in_ms: Option<i64>,
    /// The revision of the code that ran.
    pub revision: Option<String>,
}

impl Completion {
    /// The end of a run whose code has not started: its task goes back to the queue.
    pub fn unbegun(fence: Fence, why: &str) -> Completion {
        Completion::new(fence, Outcome::Unbegun, Some(why.to_owned()))
    }

    /// The end of a run, just now, of which nothing more is known than what happened and why.
    pub fn new(fence: Fence, outcome: Outcome, reason: Option<String>) -> Completion {
        Completion {
            fence,
            outcome,
            reason,
            error: None,
            output: Payload::None,
            began: None,
            ended: Instant::now(),
            memory_peak: None,
            retry_in_ms: None,
            revision: None,
        }
    }
}

/// What became of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    Now {
        /// What the task is in.
        state: State,
        /// When the code began, if it did; of several that are all done, when the last one did.
        started_at: Option<DateTime<Utc>>,
    },
    /// It was recorded before: the answer to it was lost.
    Already,
    /// The run is not current any more: nothing was changed.
    Stale,
}

/// Records the ends of runs, all of them or none; what became of each, in their order. `after`: no
/// run of them began before it, by what one worker was told of the runs that it had before.
pub async fn complete(
    db: &Db,
    ends: &[Completion],
    after: Option<DateTime<Utc>>,
) -> Result<Vec<Recorded>> {
    let values = Values::of(ends, after);
    let rows = db.within(DEADLINE, db.repeat(STATEMENT, &values.params())).await?;
    became(db, ends, &Answers::read(&rows, STATE)?).await
}

/// The statement; its parameters are [`Values::params`], its rows are read as [`Answers`].
pub(crate) const STATEMENT: &str = include_str!("sql/complete.sql");

/// Where a row of it has the state.
pub(crate) const STATE: usize = 2;

/// What `rework.complete` says.
#[derive(Default)]
pub(crate) struct Answers {
    /// Of every run.
    all: Option<Recorded>,
    /// Of a run of a task.
    each: FxHashMap<(i64, i64), Recorded>,
}

impl Answers {
    /// From rows that begin with task and run, and have the state at a place and, after it, when the run
    /// began. What has no state is no answer.
    pub(crate) fn read(rows: &[Row], place: usize) -> Result<Answers> {
        let mut answers = Answers::default();
        for row in rows {
            let row = Columns::found_by("task", "id", "task", row);
            if row.at::<Option<&str>>(place, "state")?.is_none() {
                continue;
            }
            // The end is recorded by now: a beginning that cannot be read is no reason to fail.
            let started_at = row.at(place + 1, "started_at").unwrap_or_default();
            let now = Recorded::Now { state: row.word_at(place, "state")?, started_at };
            match row.at::<Option<i64>>(0, "task")? {
                Some(task) => drop(answers.each.insert((task, row.at(1, "run")?), now)),
                None => answers.all = Some(now),
            }
        }
        Ok(answers)
    }
}

/// What became of each end. One that has no answer is looked up.
pub(crate) async fn became(
    db: &Db,
    ends: &[Completion],
    answers: &Answers,
) -> Result<Vec<Recorded>> {
    let mut became = Vec::with_capacity(ends.len());
    for Completion { fence, .. } in ends {
        became.push(
            match answers.all.or_else(|| answers.each.get(&(fence.task, fence.run)).copied()) {
                Some(now) => now,
                None => recorded(db, *fence).await?,
            },
        );
    }
    Ok(became)
}

/// What the statement is given: an array for each thing that is known of ends, in ascending order
/// of tasks, so that two who record do not wait for each other in a circle.
#[derive(Default)]
pub(crate) struct Values<'a> {
    tasks: Vec<i64>,
    runs: Vec<i64>,
    tokens: Vec<Uuid>,
    outcomes: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    errors: Vec<Option<String>>,
    json: Vec<Option<&'a str>>,
    bytes: Vec<Option<&'a [u8]>>,
    began: Vec<Option<i64>>,
    ended: Vec<i64>,
    peaks: Vec<Option<i64>>,
    retries: Vec<Option<i64>>,
    revisions: Vec<Option<&'a str>>,
    after: Option<DateTime<Utc>>,
}

impl<'a> Values<'a> {
    pub(crate) fn of(ends: &'a [Completion], after: Option<DateTime<Utc>>) -> Values<'a> {
        let mut values = Values { after, ..Values::default() };
        let mut sorted: Vec<&Completion> = ends.iter().collect();
        sorted.sort_unstable_by_key(|end| end.fence.task);
        let now = Instant::now();
        for end in sorted {
            values.push(end, now);
        }
        values.leave_out();
        values
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Of most batches most of it is null, or the same for all, and need not travel.
    fn leave_out(&mut self) {
        fn nulls<T>(values: &mut Vec<Option<T>>) {
            if values.iter().all(Option::is_none) {
                values.clear();
            }
        }
        fn repeated<T: PartialEq>(values: &mut Vec<T>) {
            if values.windows(2).all(|two| two[0] == two[1]) {
                values.truncate(1);
            }
        }
        nulls(&mut self.reasons);
        nulls(&mut self.errors);
        nulls(&mut self.json);
        nulls(&mut self.bytes);
        nulls(&mut self.peaks);
        nulls(&mut self.retries);
        repeated(&mut self.tokens);
        repeated(&mut self.outcomes);
        repeated(&mut self.revisions);
    }

    fn push(&mut self, end: &'a Completion, now: Instant) {
        let ago = |moment: Instant| now.saturating_duration_since(moment).as_micros() as i64;
        let (json, bytes) = end.output.columns();
        self.tasks.push(end.fence.task);
        self.runs.push(end.fence.run);
        self.tokens.push(end.fence.token);
        self.outcomes.push(end.outcome.as_str());
        self.reasons.push(end.reason.as_deref().map(without_nul));
        self.errors.push(end.error.as_ref().map(Value::to_string));
        self.json.push(json);
        self.bytes.push(bytes);
        self.began.push(end.began.map(ago));
        self.ended.push(ago(end.ended));
        self.peaks.push(end.memory_peak);
        self.retries.push(end.retry_in_ms);
        self.revisions.push(end.revision.as_deref());
    }

    pub(crate) fn params(&self) -> [Param<'_>; 14] {
        [
            (&self.tasks, Type::INT8_ARRAY),
            (&self.runs, Type::INT8_ARRAY),
            (&self.tokens, Type::UUID_ARRAY),
            (&self.outcomes, Type::TEXT_ARRAY),
            (&self.reasons, Type::TEXT_ARRAY),
            (&self.errors, Type::TEXT_ARRAY),
            (&self.json, Type::TEXT_ARRAY),
            (&self.bytes, Type::BYTEA_ARRAY),
            (&self.began, Type::INT8_ARRAY),
            (&self.ended, Type::INT8_ARRAY),
            (&self.peaks, Type::INT8_ARRAY),
            (&self.retries, Type::INT8_ARRAY),
            (&self.revisions, Type::TEXT_ARRAY),
            (&self.after, Type::TIMESTAMPTZ),
        ]
    }
}

/// Whether a run that is not current any more has its end in the books.
async fn recorded(db: &Db, fence: Fence) -> Result<Recorded> {
    let params: [Param<'_>; 3] =
        [(&fence.task, Type::INT8), (&fence.run, Type::INT8), (&fence.token, Type::UUID)];
    let row = db.query_one(include_str!("sql/recorded.sql"), &params).await?;
    let before: Option<&str> = Columns::new(&row).get("state")?;
    Ok(if before.is_some() { Recorded::Already } else { Recorded::Stale })
}

/// Postgres' `text` holds every character but this one.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}
