//! Requesting the abort of a task. A task that did not start is aborted at once. A running task becomes `aborting`, and
//! `aborted` when none of its processes is left. So does a flow: it is `aborted` when its steps are reverted. A task
//! that has ended does not change.
//!
//! The SQL function `rework.abort` does it. `migrations/V12__abort.sql` lists the steps from the request to the kill.

use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    task::state::State,
};

/// The result of an abort request, with the state of the task after the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortResult {
    /// The task is `aborting` or `aborted`.
    Accepted(State),
    /// The task had ended before the request.
    AlreadyEnded(State),
}

/// Requests the abort of a task. The task shows `aborted` followed by `reason`, for example
/// `aborted by anna`. `Err` with SQLSTATE `RW404` if the task does not exist.
pub async fn abort(db: &Db, task: i64, reason: &str) -> Result<AbortResult> {
    request(db, task, reason, true).await
}

/// Requests the abort of a task as [`abort`] does. If it is a flow, its steps are not reverted, and reverts that run
/// are stopped, too.
pub async fn abort_without_revert(db: &Db, task: i64, reason: &str) -> Result<AbortResult> {
    request(db, task, reason, false).await
}

async fn request(db: &Db, task: i64, reason: &str, revert: bool) -> Result<AbortResult> {
    let params: [Param<'_>; 3] =
        [(&task, Type::INT8), (&reason, Type::TEXT), (&revert, Type::BOOL)];
    let row = db.query_one(include_str!("sql/abort_task.sql"), &params).await?;
    let row = Columns::new(&row);
    let after: State = row.parsed("after")?;
    let before: Option<&str> = row.get("before")?;
    let ended_before = before.is_some() && row.parsed::<State>("before")?.is_end();
    let is_abort = matches!(after, State::Aborted | State::Aborting);
    Ok(if ended_before || !is_abort {
        AbortResult::AlreadyEnded(after)
    } else {
        AbortResult::Accepted(after)
    })
}
