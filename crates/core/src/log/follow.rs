//! Follows the logs of all tasks while they are written. `rework dev` shows them. The log of one task is followed by
//! `cli/src/commands/log_task.rs`, until the task has ended.
//!
//! A line gets its number when it is inserted, and becomes visible when its transaction commits. So a line may become
//! visible after a line with a higher number. A caller therefore remembers the numbers that are missing, and requests
//! them again.

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// A line of any task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedLine {
    /// The number of the line, unique over all tasks.
    pub id: i64,
    pub task: i64,
    /// The name of the task's operation.
    pub operation: String,
    /// The source of the line: `stdout`, `stderr`, `shared` (output that several runs may have written), `rework`, or
    /// the name of a logger.
    pub stream: String,
    /// One of [`LEVELS`](super::read::LEVELS).
    pub level: String,
    /// The text of the line without its newline. It need not be UTF-8.
    pub bytes: Vec<u8>,
}

/// Returns the highest line number that was assigned so far. The line itself may not be visible yet.
pub async fn last(db: &Db) -> Result<i64> {
    let row = db.query_one(include_str!("sql/last_log.sql"), &[]).await?;
    Columns::new(&row).get("last")
}

/// Returns the lines with a number above `after` and the lines `missing`, by ascending number, at most `limit` of them.
pub async fn since(db: &Db, after: i64, missing: &[i64], limit: i64) -> Result<Vec<FollowedLine>> {
    let params: [Param<'_>; 3] =
        [(&after, Type::INT8), (&missing, Type::INT8_ARRAY), (&limit, Type::INT8)];
    let rows = db.query(include_str!("sql/follow_logs.sql"), &params).await?;
    rows.iter().map(|row| read_line(Columns::of("log", "id", row))).collect()
}

fn read_line(row: Columns<'_>) -> Result<FollowedLine> {
    Ok(FollowedLine {
        id: row.get("id")?,
        task: row.get("task")?,
        operation: row.get("operation")?,
        stream: row.get("stream")?,
        level: row.get("level")?,
        bytes: row.get("line")?,
    })
}
