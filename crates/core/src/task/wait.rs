//! Wait for tasks: have their ends notified, and look where they are. A notification is a hint
//! that may get lost (a pooler, a failover); whoever waits also looks once in a while.

use tokio_postgres::types::Type;

use crate::{
    db::{connect::Db, error::Result, row::Columns},
    task::state::State,
};

/// Where the ends of watched tasks are notified; the payload is the task's id.
pub const CHANNEL: &str = "rework_end";

/// Where a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The task.
    pub id: i64,
    /// Where it is in its life.
    pub state: State,
    /// Why, in words.
    pub reason: Option<String>,
}

/// Has the ends of these tasks notified on [`CHANNEL`], and gives the ids of those that exist.
/// Listen first, then watch, then look.
pub async fn watch(db: &Db, tasks: &[i64]) -> Result<Vec<i64>> {
    let rows = db.query(include_str!("sql/watch_tasks.sql"), &[(&tasks, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| Columns::new(row).get("id")).collect()
}

/// Where these tasks are; those that do not exist are left out.
pub async fn status(db: &Db, tasks: &[i64]) -> Result<Vec<Status>> {
    let rows = db.query(include_str!("sql/task_ends.sql"), &[(&tasks, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| status_of(Columns::of("task", "id", row))).collect()
}

fn status_of(row: Columns<'_>) -> Result<Status> {
    Ok(Status { id: row.get("id")?, state: row.word("state")?, reason: row.get("reason")? })
}
