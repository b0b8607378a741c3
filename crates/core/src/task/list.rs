//! Listing tasks: the most recent ones, in the order in which they were scheduled.
//!
//! A listed task has no input and output, because these may be large. [`show`](crate::task::show::show) returns them.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    pause::row::Pause,
    task::state::State,
};

/// Restricts the tasks that are listed. `None` and an empty list do not restrict. By default, tasks of the steps of
/// flows are not listed.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// The domain of the operation.
    pub domain: Option<String>,
    /// The states. A task must be in one of them.
    pub states: Vec<State>,
    /// The name of the operation.
    pub operation: Option<String>,
    /// The largest age since the task was scheduled, in milliseconds.
    pub since_ms: Option<i64>,
    /// Whether tasks of the steps of flows are listed, too.
    pub steps: bool,
}

/// Which additional columns to read. These cost more than the other columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras {
    /// Whether to read the errors.
    pub errors: bool,
    /// Whether to count the log lines of each task.
    pub line_counts: bool,
}

/// A task in a list.
#[derive(Debug, Clone)]
pub struct ListedTask {
    pub id: i64,
    /// The name of the operation.
    pub operation: String,
    /// The domain of the operation.
    pub domain: String,
    pub state: State,
    /// When the task was scheduled.
    pub queued_at: DateTime<Utc>,
    /// The moment before which the task must not start. `None` if the task was not delayed, or if it is delayed until
    /// somebody retries it.
    pub delayed_until: Option<DateTime<Utc>>,
    /// When the code of the task started. `None` if no start is recorded.
    pub started_at: Option<DateTime<Utc>>,
    /// When the task ended. `None` if it has not ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the task is in its state, for people. `None` if there is no reason.
    pub reason: Option<String>,
    /// The id of the worker that claimed the task last. `None` if no worker has.
    pub worker: Option<i64>,
    /// The host that the task ran on. Before its first run, the host that it is pinned to; `None`
    /// if it is not pinned.
    pub host: Option<String>,
    /// The error as JSON text. `None` without [`Extras::errors`].
    pub error: Option<String>,
    /// The number of log lines. `None` without [`Extras::line_counts`].
    pub lines: Option<i64>,
    /// The tasks that it waits for, such as `task 7 (running) and 2 more`. `None` unless it is waiting.
    pub waits_for: Option<String>,
    /// The pause for which the task waits. `None` if it waits for none, or does not wait.
    pub pause: Option<Pause>,
}

/// Returns the last `limit` tasks that pass the filter, oldest first.
pub async fn list(
    db: &Db,
    filter: &TaskFilter,
    extras: Extras,
    limit: i64,
) -> Result<Vec<ListedTask>> {
    let states = filter.state_names();
    let params: [Param<'_>; 8] = [
        (&filter.domain, Type::TEXT),
        (&states, Type::TEXT_ARRAY),
        (&filter.operation, Type::TEXT),
        (&filter.since_ms, Type::INT8),
        (&limit, Type::INT8),
        (&extras.errors, Type::BOOL),
        (&extras.line_counts, Type::BOOL),
        (&filter.steps, Type::BOOL),
    ];
    let rows = db.query(include_str!("sql/list_tasks.sql"), &params).await?;
    rows.iter().rev().map(|row| listed_task(Columns::of("task", "id", row))).collect()
}

fn listed_task(row: Columns<'_>) -> Result<ListedTask> {
    Ok(ListedTask {
        id: row.get("id")?,
        operation: row.get("operation")?,
        domain: row.get("domain")?,
        state: row.parsed("state")?,
        queued_at: row.get("queued_at")?,
        delayed_until: row.get("delayed_until")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        reason: row.get("reason")?,
        worker: row.get("worker")?,
        host: row.get("host")?,
        error: row.get("error")?,
        lines: row.get("lines")?,
        waits_for: row.get("waits_for")?,
        pause: row.json("pause")?,
    })
}

/// Returns how many tasks with an id below `before` pass the filter. Stops counting at `limit`.
pub async fn count_older(db: &Db, filter: &TaskFilter, before: i64, limit: i64) -> Result<i64> {
    let states = filter.state_names();
    let params: [Param<'_>; 7] = [
        (&filter.domain, Type::TEXT),
        (&states, Type::TEXT_ARRAY),
        (&filter.operation, Type::TEXT),
        (&filter.since_ms, Type::INT8),
        (&before, Type::INT8),
        (&limit, Type::INT8),
        (&filter.steps, Type::BOOL),
    ];
    let row = db.query_one(include_str!("sql/count_tasks.sql"), &params).await?;
    Columns::new(&row).get("count")
}

impl TaskFilter {
    /// Returns the states as the schema stores them. `None` if the filter has no states, so that all pass.
    fn state_names(&self) -> Option<Vec<&'static str>> {
        let names: Vec<_> = self.states.iter().map(|state| state.as_str()).collect();
        (!names.is_empty()).then_some(names)
    }
}
