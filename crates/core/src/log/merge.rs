//! Reads the logs of several tasks page by page, as one log. The rows are in the order in which they were stored.
//!
//! A reader has its own position in the log of each task. So it can follow tasks that write at the same time, and none
//! of their rows is missed.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    log::{
        lines::LogRow,
        read::{PAGE, PAGE_BYTES, levels_from},
    },
};

/// A row of the log of one of the tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedRow {
    pub task: i64,
    pub row: LogRow,
}

/// A cursor in the logs of several tasks.
#[derive(Debug, Default)]
pub struct MergedReader {
    stream: Option<String>,
    level: Option<&'static str>,
    /// The tasks with the id of the last row that was returned of each.
    last: BTreeMap<i64, i64>,
    /// Whether the last page reached the ends of the logs.
    is_at_end: bool,
}

impl MergedReader {
    /// Creates a reader without tasks. `None` as the stream or as the level, the least severe one, does not restrict
    /// the lines.
    pub fn new(stream: Option<String>, level: Option<&'static str>) -> MergedReader {
        MergedReader { stream, level, ..MergedReader::default() }
    }

    /// Adds tasks, whose logs are read from their beginnings. Tasks that it has already do not change.
    pub fn add(&mut self, tasks: impl IntoIterator<Item = i64>) {
        for task in tasks {
            self.last.entry(task).or_insert(0);
        }
    }

    /// Returns the next rows. An empty list means that there are no more rows at the moment.
    pub async fn next(&mut self, db: &Db) -> Result<Vec<MergedRow>> {
        let (tasks, last): (Vec<i64>, Vec<i64>) = self.last.iter().unzip();
        let levels = levels_from(self.level);
        let (page, page_bytes) = (PAGE as i64, PAGE_BYTES as i64);
        let params: [Param<'_>; 6] = [
            (&tasks, Type::INT8_ARRAY),
            (&last, Type::INT8_ARRAY),
            (&page, Type::INT8),
            (&self.stream, Type::TEXT),
            (&levels, Type::TEXT_ARRAY),
            (&page_bytes, Type::INT8),
        ];
        let rows = db.query(include_str!("sql/merge_logs.sql"), &params).await?;
        let rows = rows.iter().map(|row| merged_row(Columns::of("log", "id", row)));
        let rows = rows.collect::<Result<Vec<MergedRow>>>()?;
        let bytes: usize = rows.iter().map(|merged| merged.row.bytes.len()).sum();
        self.is_at_end = rows.len() < PAGE && bytes < PAGE_BYTES;
        self.last.extend(rows.iter().map(|merged| (merged.task, merged.row.id)));
        Ok(rows)
    }

    /// Returns whether the last call of [`MergedReader::next`] reached the ends of the logs.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }
}

fn merged_row(row: Columns<'_>) -> Result<MergedRow> {
    Ok(MergedRow { task: row.get("task")?, row: LogRow::read(row)? })
}
