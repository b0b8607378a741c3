//! Follows the logs of all tasks while they are written. `rework dev` shows them. The log of one task is followed by
//! `cli/src/commands/log_task.rs`, until the task has ended.
//!
//! A row gets its id when it is inserted, and becomes visible when its transaction commits. So a row may become visible
//! after a row with a higher id. A caller therefore remembers the ids that are missing, and requests them again.

use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    log::lines::LogRow,
};

/// The largest number of rows that are read at once.
const PAGE: usize = 2_000;

/// The number of bytes in its rows from which no further row is added to a page.
const PAGE_BYTES: usize = 16 << 20;

/// A row of any task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedRow {
    pub task: i64,
    /// The name of the task's operation.
    pub operation: String,
    pub row: LogRow,
}

/// The next rows of all logs.
#[derive(Debug)]
pub struct FollowedPage {
    /// The rows by ascending id.
    pub rows: Vec<FollowedRow>,
    /// Whether there are no more rows at the moment.
    pub is_last: bool,
}

/// Returns the highest id of a row that was assigned so far. The row itself may not be visible yet.
pub async fn last(db: &Db) -> Result<i64> {
    let row = db.query_one(include_str!("sql/last_log.sql"), &[]).await?;
    Columns::new(&row).get("last")
}

/// Returns the next rows with an id above `after`, and the rows `missing`.
pub async fn since(db: &Db, after: i64, missing: &[i64]) -> Result<FollowedPage> {
    let (page, page_bytes) = (PAGE as i64, PAGE_BYTES as i64);
    let params: [Param<'_>; 4] = [
        (&after, Type::INT8),
        (&missing, Type::INT8_ARRAY),
        (&page, Type::INT8),
        (&page_bytes, Type::INT8),
    ];
    let rows = db.query(include_str!("sql/follow_logs.sql"), &params).await?;
    let rows = rows.iter().map(|row| followed_row(Columns::of("log", "id", row)));
    let rows = rows.collect::<Result<Vec<FollowedRow>>>()?;
    let bytes: usize = rows.iter().map(|followed| followed.row.bytes.len()).sum();
    Ok(FollowedPage { is_last: rows.len() < PAGE && bytes < PAGE_BYTES, rows })
}

fn followed_row(row: Columns<'_>) -> Result<FollowedRow> {
    Ok(FollowedRow {
        task: row.get("task")?,
        operation: row.get("operation")?,
        row: LogRow::read(row)?,
    })
}
