//! Read the log of a task, page by page: a reader holds one page, however long the log is, and
//! follows it by asking for what came after the last line that it has seen.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// The levels, worst first.
pub const LEVELS: [&str; 5] = ["ERROR", "WARNING", "INFO", "DEBUG", "TRACE"];

/// Most lines of a page. Together they are less than what one run's log may hold, some MiB.
pub const PAGE: usize = 1_000;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Grows along the log.
    pub id: i64,
    /// The run that wrote it.
    pub run: i64,
    /// When it was read from the run.
    pub at: DateTime<Utc>,
    /// `stdout`, `stderr`, `shared`, `rework`, or a logger's name.
    pub stream: String,
    /// One of [`LEVELS`].
    pub level: String,
    /// As it was written, without its newline.
    pub bytes: Vec<u8>,
    /// Whether a newline followed.
    pub whole: bool,
}

/// Which lines of a task; what is none does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub task: i64,
    pub run: Option<i64>,
    pub stream: Option<String>,
    /// Of this level or a worse one.
    pub level: Option<&'static str>,
}

/// Reads on: a cursor in a log.
#[derive(Debug)]
pub struct Reader {
    selection: Selection,
    last: i64,
}

impl Reader {
    /// Begins after line `after`; 0: at the beginning.
    pub fn after(selection: Selection, after: i64) -> Reader {
        Reader { selection, last: after }
    }

    /// The task whose log it is.
    pub fn task(&self) -> i64 {
        self.selection.task
    }

    /// Skips to the last `tail` lines, and to those of the last `since_ms` milliseconds; none
    /// does not restrict. Never goes back.
    pub async fn skip_to(
        &mut self,
        db: &Db,
        tail: Option<i64>,
        since_ms: Option<i64>,
    ) -> Result<()> {
        let levels = self.selection.levels();
        let params: [Param<'_>; 6] = [
            (&self.selection.task, Type::INT8),
            (&tail, Type::INT8),
            (&since_ms, Type::INT8),
            (&self.selection.run, Type::INT8),
            (&self.selection.stream, Type::TEXT),
            (&levels, Type::TEXT_ARRAY),
        ];
        let row = db.query_one(include_str!("sql/log_start.sql"), &params).await?;
        // No such line: what was read until now is all skipped.
        let first: Option<i64> = Columns::new(&row).get("first")?;
        let start = match first {
            Some(first) => first - 1,
            None => last_line(db, self.selection.task).await?,
        };
        self.last = self.last.max(start);
        Ok(())
    }

    /// The next lines, at most [`PAGE`]; empty: there are no more by now.
    pub async fn next(&mut self, db: &Db) -> Result<Vec<Line>> {
        let levels = self.selection.levels();
        let page = PAGE as i64;
        let params: [Param<'_>; 6] = [
            (&self.selection.task, Type::INT8),
            (&self.last, Type::INT8),
            (&page, Type::INT8),
            (&self.selection.run, Type::INT8),
            (&self.selection.stream, Type::TEXT),
            (&levels, Type::TEXT_ARRAY),
        ];
        let rows = db.query(include_str!("sql/read_log.sql"), &params).await?;
        let lines = rows.iter().map(|row| line(Columns::of("log", "id", row)));
        let lines = lines.collect::<Result<Vec<Line>>>()?;
        self.last = lines.last().map_or(self.last, |line| line.id);
        Ok(lines)
    }
}

impl Selection {
    fn levels(&self) -> Option<Vec<&'static str>> {
        let least = self.level?;
        let through = LEVELS.iter().position(|level| *level == least)?;
        Some(LEVELS[..=through].to_vec())
    }
}

async fn last_line(db: &Db, task: i64) -> Result<i64> {
    let row = db.query_one(include_str!("sql/last_line.sql"), &[(&task, Type::INT8)]).await?;
    Columns::new(&row).get("last")
}

fn line(row: Columns<'_>) -> Result<Line> {
    Ok(Line {
        id: row.get("id")?,
        run: row.get("run")?,
        at: row.get("at")?,
        stream: row.get("stream")?,
        level: row.get("level")?,
        bytes: row.get("line")?,
        whole: row.get("whole")?,
    })
}
