//! Reads the log of one task page by page, so that memory does not depend on the length of the log.
//!
//! A reader remembers the last row that it returned. To follow a log, call [`LogReader::next`] again: it returns the
//! rows that were written since. [`OpenLines`](super::lines::OpenLines) joins the rows into lines.
//! `cli/src/commands/log_task.rs` follows a log until the task has ended.

use std::collections::HashSet;

use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    log::lines::{LineKey, LogRow},
};

/// The levels of log lines, the most severe one first.
pub const LEVELS: [&str; 5] = ["ERROR", "WARNING", "INFO", "DEBUG", "TRACE"];

/// The largest number of rows of a page.
pub(super) const PAGE: usize = 1_000;

/// The number of bytes in its rows from which no further row is added to a page. A row has at most 256 KiB, so the
/// number of rows alone would not limit the memory.
pub(super) const PAGE_BYTES: usize = 16 << 20;

/// The lines to read. A field that is `None` does not restrict them.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    pub task: i64,
    pub run: Option<i64>,
    pub stream: Option<String>,
    /// The least severe level, one of [`LEVELS`]. `None` for all levels.
    pub level: Option<&'static str>,
}

/// A cursor in the log of a task.
///
/// A line belongs to the place of its last row. So if a reader starts in the middle of a line, that line is read from
/// its beginning.
#[derive(Debug)]
pub struct LogReader {
    filter: LogFilter,
    /// The id of the last row that was returned or skipped.
    last: i64,
    /// Whether the last page reached the end of the log.
    is_at_end: bool,
    /// The keys of the rows that were returned. `None` if the reader started with the first row of the log, so that it
    /// cannot meet a line whose beginning it has not returned.
    known: Option<HashSet<LineKey>>,
}

impl LogReader {
    /// Creates a reader that starts after the row with the id `after`; 0 starts with the first row.
    pub fn after(filter: LogFilter, after: i64) -> LogReader {
        let known = (after > 0).then(HashSet::new);
        LogReader { filter, last: after, is_at_end: false, known }
    }

    /// Returns the task whose log is read.
    pub fn task(&self) -> i64 {
        self.filter.task
    }

    /// Skips all lines but the last `tail`, and all lines that ended more than `since_ms` milliseconds ago. `None`
    /// skips nothing.
    ///
    /// Never moves backwards.
    pub async fn skip_to(
        &mut self,
        db: &Db,
        tail: Option<i64>,
        since_ms: Option<i64>,
    ) -> Result<()> {
        let levels = self.filter.levels();
        let params: [Param<'_>; 6] = [
            (&self.filter.task, Type::INT8),
            (&tail, Type::INT8),
            (&since_ms, Type::INT8),
            (&self.filter.run, Type::INT8),
            (&self.filter.stream, Type::TEXT),
            (&levels, Type::TEXT_ARRAY),
        ];
        let row = db.query_one(include_str!("sql/log_start.sql"), &params).await?;
        // Null: no line is left to read, so everything written so far is skipped.
        let first: Option<i64> = Columns::new(&row).get("first")?;
        let start = match first {
            Some(first) => first - 1,
            None => last_row_id(db, self.filter.task).await?,
        };
        self.last = self.last.max(start);
        if self.last > 0 {
            self.known.get_or_insert_default();
        }
        Ok(())
    }

    /// Returns the next rows. An empty list means that there are no more rows at the moment.
    pub async fn next(&mut self, db: &Db) -> Result<Vec<LogRow>> {
        let levels = self.filter.levels();
        let (page, page_bytes) = (PAGE as i64, PAGE_BYTES as i64);
        let params: [Param<'_>; 7] = [
            (&self.filter.task, Type::INT8),
            (&self.last, Type::INT8),
            (&page, Type::INT8),
            (&self.filter.run, Type::INT8),
            (&self.filter.stream, Type::TEXT),
            (&levels, Type::TEXT_ARRAY),
            (&page_bytes, Type::INT8),
        ];
        let rows = read_rows(db, include_str!("sql/read_log.sql"), &params).await?;
        let bytes: usize = rows.iter().map(|row| row.bytes.len()).sum();
        let is_at_end = rows.len() < PAGE && bytes < PAGE_BYTES;
        let last = rows.last().map_or(self.last, |row| row.id);
        let rows = self.with_beginnings(db, rows).await?;
        // Not before: after an error, the next call reads the same rows again.
        (self.last, self.is_at_end) = (last, is_at_end);
        Ok(rows)
    }

    /// Returns whether the last call of [`LogReader::next`] reached the end of the log.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Inserts the beginnings of lines that began before the place where this reader started.
    async fn with_beginnings(&mut self, db: &Db, rows: Vec<LogRow>) -> Result<Vec<LogRow>> {
        let Some(mut known) = self.known.clone() else { return Ok(rows) };
        let mut complete = Vec::with_capacity(rows.len());
        for row in rows {
            if known.insert(LineKey::of_row(self.filter.task, &row)) && row.continues {
                complete.append(&mut beginning(db, self.filter.task, &row).await?);
            }
            complete.push(row);
        }
        self.known = Some(known);
        Ok(complete)
    }
}

impl LogFilter {
    /// Returns the level of the filter and all more severe ones. `None` if the filter has no level.
    fn levels(&self) -> Option<Vec<&'static str>> {
        levels_from(self.level)
    }
}

/// Returns a level and all more severe ones. `None` for no level.
pub(super) fn levels_from(least: Option<&str>) -> Option<Vec<&'static str>> {
    let through = LEVELS.iter().position(|level| Some(*level) == least)?;
    Some(LEVELS[..=through].to_vec())
}

async fn last_row_id(db: &Db, task: i64) -> Result<i64> {
    let row = db.query_one(include_str!("sql/last_line.sql"), &[(&task, Type::INT8)]).await?;
    Columns::new(&row).get("last")
}

/// Returns the rows of the same line that precede this row.
async fn beginning(db: &Db, task: i64, row: &LogRow) -> Result<Vec<LogRow>> {
    let params: [Param<'_>; 5] = [
        (&task, Type::INT8),
        (&row.run, Type::INT8),
        (&row.stream, Type::TEXT),
        (&row.level, Type::TEXT),
        (&row.id, Type::INT8),
    ];
    read_rows(db, include_str!("sql/line_beginning.sql"), &params).await
}

async fn read_rows(db: &Db, sql: &str, params: &[Param<'_>]) -> Result<Vec<LogRow>> {
    let rows = db.query(sql, params).await?;
    rows.iter().map(|row| LogRow::read(Columns::of("log", "id", row))).collect()
}
