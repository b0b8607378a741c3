//! List tasks: the last ones, in the order in which they were scheduled.
//!
//! A list holds what fits on a line. Inputs and outputs may be large: they come with
//! [`show`](crate::task::show::show).

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    task::state::State,
};

/// Which tasks; what is none does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The domain of their operation.
    pub domain: Option<String>,
    /// Any of these; none: all.
    pub states: Vec<State>,
    /// Their operation's name.
    pub operation: Option<String>,
    /// Queued in the last so many milliseconds.
    pub since_ms: Option<i64>,
}

/// What costs more than the line itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras {
    /// The error of those that failed.
    pub errors: bool,
    /// How many lines each has logged.
    pub line_counts: bool,
}

/// A task, as a line of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The task.
    pub id: i64,
    /// Its operation's name.
    pub operation: String,
    /// Its operation's domain.
    pub domain: String,
    /// Where it is in its life.
    pub state: State,
    /// When it was scheduled.
    pub queued_at: DateTime<Utc>,
    /// Not before this moment.
    pub delayed_until: Option<DateTime<Utc>>,
    /// When its code began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended, in words.
    pub reason: Option<String>,
    /// The worker that claimed it last.
    pub worker: Option<i64>,
    /// The host that it ran on, or must run on.
    pub host: Option<String>,
    /// Its error, JSON text, where that was asked for.
    pub error: Option<String>,
    /// The number of its log lines, where that was asked for.
    pub lines: Option<i64>,
}

/// The last `limit` tasks that pass the filter, oldest first.
pub async fn list(db: &Db, filter: &Filter, extras: Extras, limit: i64) -> Result<Vec<Listed>> {
    let states = filter.state_words();
    let params: [Param<'_>; 7] = [
        (&filter.domain, Type::TEXT),
        (&states, Type::TEXT_ARRAY),
        (&filter.operation, Type::TEXT),
        (&filter.since_ms, Type::INT8),
        (&limit, Type::INT8),
        (&extras.errors, Type::BOOL),
        (&extras.line_counts, Type::BOOL),
    ];
    let rows = db.query(include_str!("sql/list_tasks.sql"), &params).await?;
    rows.iter().rev().map(|row| listed(Columns::of("task", "id", row))).collect()
}

fn listed(row: Columns<'_>) -> Result<Listed> {
    Ok(Listed {
        id: row.get("id")?,
        operation: row.get("operation")?,
        domain: row.get("domain")?,
        state: row.word("state")?,
        queued_at: row.get("queued_at")?,
        delayed_until: row.get("delayed_until")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        reason: row.get("reason")?,
        worker: row.get("worker")?,
        host: row.get("host")?,
        error: row.get("error")?,
        lines: row.get("lines")?,
    })
}

/// How many older tasks than `before` pass the filter too; counts to `most`.
pub async fn count_older(db: &Db, filter: &Filter, before: i64, most: i64) -> Result<i64> {
    let states = filter.state_words();
    let params: [Param<'_>; 6] = [
        (&filter.domain, Type::TEXT),
        (&states, Type::TEXT_ARRAY),
        (&filter.operation, Type::TEXT),
        (&filter.since_ms, Type::INT8),
        (&before, Type::INT8),
        (&most, Type::INT8),
    ];
    let row = db.query_one(include_str!("sql/count_tasks.sql"), &params).await?;
    Columns::new(&row).get("count")
}

impl Filter {
    fn state_words(&self) -> Option<Vec<&'static str>> {
        let words: Vec<_> = self.states.iter().map(|state| state.as_str()).collect();
        (!words.is_empty()).then_some(words)
    }
}
