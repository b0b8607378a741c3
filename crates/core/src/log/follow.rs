//! Follow the logs of all tasks, as they are written.
//!
//! Lines are numbered when they are written and seen when they are committed, so a line may appear
//! after one with a higher number: whoever follows names the numbers that it is missing.

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, over all tasks.
    pub id: i64,
    /// The task that wrote it.
    pub task: i64,
    /// The name of that task's operation.
    pub operation: String,
    /// `stdout`, `stderr`, `shared`, `rework`, or a logger's name.
    pub stream: String,
    /// `ERROR` … `TRACE`.
    pub level: String,
    /// As it was written, without its newline.
    pub bytes: Vec<u8>,
}

/// The number of the last line that anybody has begun to write.
pub async fn last(db: &Db) -> Result<i64> {
    let row = db.query_one(include_str!("sql/last_log.sql"), &[]).await?;
    Columns::new(&row).get("last")
}

/// The lines after line `after` and those among `late`, at most `limit`, in their order.
pub async fn since(db: &Db, after: i64, late: &[i64], limit: i64) -> Result<Vec<Line>> {
    let params: [Param<'_>; 3] =
        [(&after, Type::INT8), (&late, Type::INT8_ARRAY), (&limit, Type::INT8)];
    let rows = db.query(include_str!("sql/follow_logs.sql"), &params).await?;
    rows.iter().map(|row| read(Columns::of("log", "id", row))).collect()
}

fn read(row: Columns<'_>) -> Result<Line> {
    Ok(Line {
        id: row.get("id")?,
        task: row.get("task")?,
        operation: row.get("operation")?,
        stream: row.get("stream")?,
        level: row.get("level")?,
        bytes: row.get("line")?,
    })
}
