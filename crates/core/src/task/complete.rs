//! The end of a run: recorded here, whatever ended it. The SQL function `rework.complete`
//! (`migrations/V15__complete.sql`) decides what becomes of the task: it ends, or it is tried again.
//!
//! `complete/params.rs` builds the parameters. A busy worker sends them together with its next claim: see
//! `exchange.rs`.

mod params;

use std::time::Instant;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use serde_json::Value;
use tokio_postgres::{Row, types::Type};

use crate::{
    db::{
        connect::{Db, Param},
        deadline::DEADLINE,
        error::Result,
        row::Columns,
    },
    task::{fence::Fence, payload::Payload, state::State},
};

pub(crate) use params::CompletionParams;

/// How a run ended. Together with the attempts and `retry_lost` of the operation, it decides what becomes of the task.
/// A task whose abort was requested becomes `aborted` with every outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The code returned, or the command exited with 0.
    Done,
    /// An error, an exit code, a signal, the memory limit or the timeout ended the run. It uses up an attempt.
    Failed,
    /// The input, the output or the code is not valid. The task fails at once, because another attempt would fail too.
    Refused,
    /// No process observed the end of the run, for example because its host died.
    Lost,
    /// The run was stopped because its abort was requested.
    Aborted,
    /// The run was stopped because the grace period of a drain had passed.
    Drained,
    /// The run was claimed, but its code did not start.
    NotStarted,
    /// The code requests to be started again later. That uses no attempt.
    PutOff,
    /// The run has returned a plan, which is its output. The task becomes a flow.
    Planned,
}

impl Outcome {
    /// Returns the name that the schema stores for this outcome.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Refused => "refused",
            Outcome::Lost => "lost",
            Outcome::Aborted => "aborted",
            Outcome::Drained => "drained",
            Outcome::NotStarted => "not_started",
            Outcome::PutOff => "put_off",
            Outcome::Planned => "planned",
        }
    }
}

/// The end of a run, as it is to be recorded.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The fence of the run: its task, its number and its token.
    pub fence: Fence,
    pub outcome: Outcome,
    /// The cause for people, such as `exit code 3`. `None` if the run is done.
    pub reason: Option<String>,
    /// The error that the code itself reported, or how its process ended: `{kind, message, traceback}`. `None` if the
    /// run did not fail.
    pub error: Option<Value>,
    /// The output. With [`Payload::None`] the task keeps the output that the run saved before.
    pub output: Payload,
    /// When the code started. `None` if it did not start.
    pub started: Option<Instant>,
    /// When the run ended.
    pub ended: Instant,
    /// The memory peak of the process tree in bytes. `None` if it was not measured.
    pub memory_peak: Option<i64>,
    /// The delay before the next attempt in milliseconds. `None` unless the error asks for a delay, or the run is put
    /// off.
    pub retry_in_ms: Option<i64>,
    /// The revision of the code that ran. With `None` the task keeps the revision that was recorded
    /// at the start of the code.
    pub revision: Option<String>,
}

impl Completion {
    /// Returns the end of a run whose code did not start. Its task goes back to the queue.
    pub fn not_started(fence: Fence, reason: &str) -> Completion {
        Completion::new(fence, Outcome::NotStarted, Some(reason.to_owned()))
    }

    /// Returns the end of a run that ended just now, with nothing but its outcome and the reason.
    pub fn new(fence: Fence, outcome: Outcome, reason: Option<String>) -> Completion {
        Completion {
            fence,
            outcome,
            reason,
            error: None,
            output: Payload::None,
            started: None,
            ended: Instant::now(),
            memory_peak: None,
            retry_in_ms: None,
            revision: None,
        }
    }
}

/// The result of recording one completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The end was recorded by this call.
    Now {
        /// The state of the task after the end.
        state: State,
        /// When the code started. `None` if it did not start. If all runs of a call are done, this is the latest start
        /// of them.
        started_at: Option<DateTime<Utc>>,
    },
    /// The end had been recorded by an earlier call, whose reply was lost.
    Already,
    /// The run is no longer current. Nothing was changed.
    Stale,
}

/// Records the ends of runs, all of them or none. `Err` also if another session has locked one of
/// the tasks for longer than 500 ms. Returns what was recorded for each end, in their order.
///
/// `earliest_start` is a lower bound for the start times: the start of the latest run that this worker recorded before.
/// The bound keeps the runs of one worker in order even if the server's clock was set back.
pub async fn complete(
    db: &Db,
    ends: &[Completion],
    earliest_start: Option<DateTime<Utc>>,
) -> Result<Vec<Recorded>> {
    let params = CompletionParams::of(ends, earliest_start);
    let rows = db.within(DEADLINE, db.query_prepared(STATEMENT, &params.params())).await?;
    recorded_ends(db, ends, &EndedRuns::read(&rows, STATE)?).await
}

/// The statement that records ends. Its parameters are [`CompletionParams::params`]; [`EndedRuns::read`] reads its
/// rows.
pub(crate) const STATEMENT: &str = include_str!("sql/complete.sql");

/// The index of the column `state` in `complete.sql`.
pub(crate) const STATE: usize = 2;

/// The runs that a call of `rework.complete` has ended.
#[derive(Default)]
pub(crate) struct EndedRuns {
    /// The result for every run of the call. `None` if the rows name the runs.
    all: Option<Recorded>,
    /// The results for the runs that the rows name, by task and run.
    each: FxHashMap<(i64, i64), Recorded>,
}

impl EndedRuns {
    /// Reads the reply. Each row starts with the task and the run. `state_index` is the index of the column `state`;
    /// the next column is `started_at`. Rows without a state belong to another part of the statement and are skipped.
    pub(crate) fn read(rows: &[Row], state_index: usize) -> Result<EndedRuns> {
        let mut ended = EndedRuns::default();
        for row in rows {
            let row = Columns::with_key_column("task", "id", "task", row);
            if row.at::<Option<&str>>(state_index, "state")?.is_none() {
                continue;
            }
            // The end is recorded already, so an unreadable start time is not reported as a failure.
            let started_at = row.at(state_index + 1, "started_at").unwrap_or_default();
            let now = Recorded::Now { state: row.parsed_at(state_index, "state")?, started_at };
            match row.at::<Option<i64>>(0, "task")? {
                Some(task) => drop(ended.each.insert((task, row.at(1, "run")?), now)),
                None => ended.all = Some(now),
            }
        }
        Ok(ended)
    }
}

/// Returns what was recorded for each end, in their order. For an end that the reply does not name, it asks the
/// database whether an earlier call recorded it.
pub(crate) async fn recorded_ends(
    db: &Db,
    ends: &[Completion],
    ended: &EndedRuns,
) -> Result<Vec<Recorded>> {
    let mut recorded = Vec::with_capacity(ends.len());
    for Completion { fence, .. } in ends {
        recorded.push(
            match ended.all.or_else(|| ended.each.get(&(fence.task, fence.run)).copied()) {
                Some(now) => now,
                None => recorded_before(db, *fence).await?,
            },
        );
    }
    Ok(recorded)
}

/// Returns [`Recorded::Already`] if the end of a run was recorded by an earlier call, else [`Recorded::Stale`].
async fn recorded_before(db: &Db, fence: Fence) -> Result<Recorded> {
    let params: [Param<'_>; 3] =
        [(&fence.task, Type::INT8), (&fence.run, Type::INT8), (&fence.token, Type::UUID)];
    let row = db.query_one(include_str!("sql/recorded_end.sql"), &params).await?;
    let state: Option<&str> = Columns::new(&row).get("state")?;
    Ok(if state.is_some() { Recorded::Already } else { Recorded::Stale })
}
