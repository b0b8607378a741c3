//! Reads the log of one task page by page, so that memory does not depend on the length of the log.
//!
//! A reader remembers the last line that it returned. To follow a log, call [`LogReader::next`] again: it returns the
//! lines that were written since. `cli/src/commands/log_task.rs` does so until the task has ended.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// The levels of log lines, the most severe one first.
pub const LEVELS: [&str; 5] = ["ERROR", "WARNING", "INFO", "DEBUG", "TRACE"];

/// The largest number of lines of a page.
pub const PAGE: usize = 1_000;

/// A line of a task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The number of the line. It increases along the log, with gaps.
    pub id: i64,
    /// The run of the task that wrote the line, counted from 1.
    pub run: i64,
    /// The time at which the worker read the line.
    pub at: DateTime<Utc>,
    /// The source of the line: `stdout`, `stderr`, `shared` (output that several runs may have written), `rework`, or
    /// the name of a logger.
    pub stream: String,
    /// The level of the line, one of [`LEVELS`].
    pub level: String,
    /// The text of the line without its newline. It need not be UTF-8.
    pub bytes: Vec<u8>,
    /// Whether the line ended with a newline.
    pub whole: bool,
}

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
#[derive(Debug)]
pub struct LogReader {
    filter: LogFilter,
    /// The number of the last line that was returned or skipped.
    last: i64,
}

impl LogReader {
    /// Creates a reader that starts after the line with number `after`; 0 starts with the first line.
    pub fn after(filter: LogFilter, after: i64) -> LogReader {
        LogReader { filter, last: after }
    }

    /// Returns the task whose log is read.
    pub fn task(&self) -> i64 {
        self.filter.task
    }

    /// Skips all lines but the last `tail`, and all lines older than `since_ms` milliseconds. `None` skips nothing.
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
            None => last_line_number(db, self.filter.task).await?,
        };
        self.last = self.last.max(start);
        Ok(())
    }

    /// Returns the next lines, at most [`PAGE`]. An empty list means that there are no more lines at the moment.
    pub async fn next(&mut self, db: &Db) -> Result<Vec<LogLine>> {
        let levels = self.filter.levels();
        let page = PAGE as i64;
        let params: [Param<'_>; 6] = [
            (&self.filter.task, Type::INT8),
            (&self.last, Type::INT8),
            (&page, Type::INT8),
            (&self.filter.run, Type::INT8),
            (&self.filter.stream, Type::TEXT),
            (&levels, Type::TEXT_ARRAY),
        ];
        let rows = db.query(include_str!("sql/read_log.sql"), &params).await?;
        let lines = rows.iter().map(|row| read_line(Columns::of("log", "id", row)));
        let lines = lines.collect::<Result<Vec<LogLine>>>()?;
        self.last = lines.last().map_or(self.last, |line| line.id);
        Ok(lines)
    }
}

impl LogFilter {
    /// Returns the level of the filter and all more severe ones. `None` if the filter has no level.
    fn levels(&self) -> Option<Vec<&'static str>> {
        let least = self.level?;
        let through = LEVELS.iter().position(|level| *level == least)?;
        Some(LEVELS[..=through].to_vec())
    }
}

async fn last_line_number(db: &Db, task: i64) -> Result<i64> {
    let row = db.query_one(include_str!("sql/last_line.sql"), &[(&task, Type::INT8)]).await?;
    Columns::new(&row).get("last")
}

fn read_line(row: Columns<'_>) -> Result<LogLine> {
    Ok(LogLine {
        id: row.get("id")?,
        run: row.get("run")?,
        at: row.get("at")?,
        stream: row.get("stream")?,
        level: row.get("level")?,
        bytes: row.get("line")?,
        whole: row.get("whole")?,
    })
}
