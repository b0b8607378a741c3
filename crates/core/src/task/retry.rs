//! Retry a task that ended badly: the same task is queued again, with all its attempts. Its runs
//! count on, and how it ended before is kept as one of them.

use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    task::state::State,
};

/// What became of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// The task is queued again.
    Queued,
    /// It is in a state from which nothing leads back: it is alive, or done.
    NotFrom(State),
    /// Its operation, of this name, is not registered any more: nobody would run it.
    Unregistered(String),
    /// There is no such task.
    Unknown,
}

/// Queues a task again that failed, was aborted, or was lost.
pub async fn retry(db: &Db, task: i64) -> Result<Retried> {
    loop {
        let params: [Param<'_>; 1] = [(&task, Type::INT8)];
        if db.query_opt(include_str!("sql/retry_task.sql"), &params).await?.is_some() {
            return Ok(Retried::Queued);
        }
        let Some(row) = db.query_opt(include_str!("sql/retriable.sql"), &params).await? else {
            return Ok(Retried::Unknown);
        };
        let row = Columns::of("task", "id", &row);
        let (state, registered): (State, bool) = (row.word("state")?, row.get("registered")?);
        if !state.may_become(State::Queued) || !state.is_end() {
            return Ok(Retried::NotFrom(state));
        }
        if !registered {
            return Ok(Retried::Unregistered(row.get("operation")?));
        }
        // It ended between the two statements: now it can be retried.
    }
}
