//! Ask a worker to leave, or have it killed: its monitor hears of it and sees to it.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// What is asked of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Leave when the task in hand has ended.
    Shutdown,
    /// Leave now: the task in hand is aborted.
    Kill,
}

/// What became of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its monitor will see to it.
    Asked,
    /// It had ended before.
    Ended {
        at: Option<DateTime<Utc>>,
        /// Why, in words.
        reason: Option<String>,
    },
    /// There is no such worker.
    Unknown,
}

pub async fn ask(db: &Db, worker: i64, what: Ask) -> Result<Answer> {
    let word = match what {
        Ask::Shutdown => "shutdown",
        Ask::Kill => "kill",
    };
    let params: [Param<'_>; 2] = [(&worker, Type::INT8), (&word, Type::TEXT)];
    if db.query_opt(include_str!("sql/ask_worker.sql"), &params).await?.is_some() {
        return Ok(Answer::Asked);
    }
    let end = db.query_opt(include_str!("sql/worker_end.sql"), &params[..1]).await?;
    let Some(end) = &end else { return Ok(Answer::Unknown) };
    let end = Columns::of("worker", "id", end);
    Ok(Answer::Ended { at: end.get("finished_at")?, reason: end.get("reason")? })
}
