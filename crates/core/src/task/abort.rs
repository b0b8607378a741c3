//! Abort a task: ask for its end. What has not begun ends at once; what runs is `aborting` until
//! no process of it is left; what has ended stays as it is.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The task is `aborting` or `aborted` now.
    Now(State),
    /// It had ended before, so.
    Ended(State),
}

/// Asks for the end of a task. `reason` completes the phrase `aborted …`.
pub async fn abort(db: &Db, task: i64, reason: &str) -> Result<Asked> {
    let params: [Param<'_>; 2] = [(&task, Type::INT8), (&reason, Type::TEXT)];
    let row = db.query_one(include_str!("sql/abort_task.sql"), &params).await?;
    let row = Columns::new(&row);
    let after: State = row.word("after")?;
    let before: Option<&str> = row.get("before")?;
    let ended_before = before.is_some() && row.word::<State>("before")?.is_end();
    let aborts = matches!(after, State::Aborted | State::Aborting);
    Ok(if ended_before || !aborts { Asked::Ended(after) } else { Asked::Now(after) })
}
