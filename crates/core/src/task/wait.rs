//! Waiting for tasks: a client asks to be notified of the ends of tasks, and reads their states. A notification may get
//! lost, for example in a pooler or at a failover. So a client that waits also reads the states from time to time.

use tokio_postgres::types::Type;

use crate::{
    db::{connect::Db, error::Result, row::Columns},
    pause::row::Pause,
    task::state::State,
};

/// The channel on which the ends of tasks are notified. The payload is the id of the task.
pub const CHANNEL: &str = "rework_end";

/// The state of a task that a client waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    pub id: i64,
    pub state: State,
    /// Why the task is in this state, for people. `None` if nothing is known.
    pub reason: Option<String>,
    /// The pause for which the task waits. `None` if it waits for none, or does not wait.
    pub pause: Option<Pause>,
    /// Why a flow does not go on by itself: the revert of a step failed. `None` for all other tasks.
    pub stuck: Option<String>,
}

/// Has the ends of these tasks notified on [`CHANNEL`]. Returns the ids of the tasks that exist.
///
/// A client first listens on the channel, then calls this function, and then reads the states. In another order it
/// can miss an end.
pub async fn notify_ends(db: &Db, tasks: &[i64]) -> Result<Vec<i64>> {
    let rows = db.query(include_str!("sql/notify_ends.sql"), &[(&tasks, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| Columns::new(row).get("id")).collect()
}

/// Returns the states of these tasks. Tasks that do not exist are left out.
pub async fn status(db: &Db, tasks: &[i64]) -> Result<Vec<TaskStatus>> {
    let rows = db.query(include_str!("sql/task_status.sql"), &[(&tasks, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| task_status(Columns::of("task", "id", row))).collect()
}

fn task_status(row: Columns<'_>) -> Result<TaskStatus> {
    Ok(TaskStatus {
        id: row.get("id")?,
        state: row.parsed("state")?,
        reason: row.get("reason")?,
        pause: row.json("pause")?,
        stuck: row.get("stuck")?,
    })
}
