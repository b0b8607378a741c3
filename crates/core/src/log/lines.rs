//! Joins the rows of a log into lines.
//!
//! Most lines are one row. If a line stays without its newline for a moment (a progress bar, a question, a row of
//! dots), the worker stores what was written so far as a row, and the rest as further rows that continue it. Readers
//! show one line all the same.
//!
//! A carriage return (`\r`) moves the cursor of a terminal to the start of the line, so that what follows overwrites
//! the line. Progress bars use it. Of such a line only the last state is kept: what follows the last carriage return.
//! The rows have all bytes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::db::{error::Result, row::Columns};

/// The length of a line in bytes from which no further row is joined to it. The worker divides a long line into rows of
/// this length. So the memory of a reader does not depend on the length of a line.
const MAX_JOINED_BYTES: usize = 256 << 10;

/// The largest number of lines that wait for their continuation. Above it, the oldest one is forgotten. For a reader of
/// all tasks: a run may end without a newline, and then nothing continues its last line.
const MAX_OPEN_LINES: usize = 1_000;

/// A row of a log: a line, or a piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The id of the row, unique over all tasks. Ids increase along the log, with gaps.
    pub id: i64,
    /// The run of the task that wrote the row, counted from 1.
    pub run: i64,
    /// The time at which the worker read the row.
    pub at: DateTime<Utc>,
    /// The source: `stdout`, `stderr`, `shared` (output that several runs may have written), `rework`, or the name of a
    /// logger.
    pub stream: String,
    /// One of [`LEVELS`](super::read::LEVELS).
    pub level: String,
    /// The text without its newline. It need not be UTF-8.
    pub bytes: Vec<u8>,
    /// Whether a newline followed.
    pub whole: bool,
    /// Whether the row before it with the same run, stream and level is a piece of the same line.
    pub continues: bool,
    /// Whether no row continued the line when this row was read.
    pub is_last: bool,
}

impl LogRow {
    /// Reads the columns of `sql/read_log.sql`, which other statements return, too.
    pub(super) fn read(row: Columns<'_>) -> Result<LogRow> {
        Ok(LogRow {
            id: row.get("id")?,
            run: row.get("run")?,
            at: row.get("at")?,
            stream: row.get("stream")?,
            level: row.get("level")?,
            bytes: row.get("line")?,
            whole: row.get("whole")?,
            continues: row.get("continues")?,
            is_last: row.get("is_last")?,
        })
    }
}

/// A line of a task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The id of the line, that of its last row. It increases along the log, with gaps.
    pub id: i64,
    /// The run of the task that wrote the line, counted from 1.
    pub run: i64,
    /// The time at which the worker read the beginning of the line.
    pub at: DateTime<Utc>,
    /// The source of the line: `stdout`, `stderr`, `shared` (output that several runs may have written), `rework`, or
    /// the name of a logger.
    pub stream: String,
    /// The level of the line: `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// The text of the line without its newline. If the line has carriage returns, the text behind the last one. It
    /// need not be UTF-8.
    pub bytes: Vec<u8>,
    /// Whether the line ended with a newline. If not, it is unfinished so far, or the output ended without a newline.
    pub whole: bool,
}

/// The identity that all rows of a line share. A run writes one line after the other with the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LineKey {
    task: i64,
    run: i64,
    stream: String,
    level: String,
}

impl LineKey {
    /// Returns the key of the line that a row of this task belongs to.
    pub fn of_row(task: i64, row: &LogRow) -> LineKey {
        LineKey { task, run: row.run, stream: row.stream.clone(), level: row.level.clone() }
    }

    /// Returns the key of a line of this task.
    pub fn of_line(task: i64, line: &LogLine) -> LineKey {
        LineKey { task, run: line.run, stream: line.stream.clone(), level: line.level.clone() }
    }
}

/// A line, as far as its rows were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinedLine {
    /// No row continues the line.
    Ended(LogLine),
    /// A later row may continue the line. It is then returned again, as a whole and with a higher id.
    Unfinished(LogLine),
}

impl JoinedLine {
    pub fn line(&self) -> &LogLine {
        match self {
            JoinedLine::Ended(line) | JoinedLine::Unfinished(line) => line,
        }
    }

    pub fn into_line(self) -> LogLine {
        match self {
            JoinedLine::Ended(line) | JoinedLine::Unfinished(line) => line,
        }
    }

    pub fn has_ended(&self) -> bool {
        matches!(self, JoinedLine::Ended(_))
    }
}

/// The lines whose rows were read and that have no newline.
#[derive(Debug, Default)]
pub struct OpenLines {
    /// Their bytes may end with carriage returns: text that follows overwrites the line then.
    open: HashMap<LineKey, LogLine>,
}

impl OpenLines {
    /// Adds the next row of a task. Returns the line that it completes, or an unfinished line as far as it was written.
    /// `None` if a later row of the line is known to exist: the line is returned with that row.
    pub fn add(&mut self, task: i64, row: LogRow) -> Option<JoinedLine> {
        if row.whole && !row.continues {
            return Some(JoinedLine::Ended(last_state(line_of(row))));
        }
        let (key, is_last) = (LineKey::of_row(task, &row), row.is_last);
        let line = match self.open.remove(&key) {
            Some(line) if row.continues => extended(line, &row),
            _ => line_of(row),
        };
        if line.whole || line.bytes.len() >= MAX_JOINED_BYTES {
            return Some(JoinedLine::Ended(last_state(line)));
        }
        let shown = is_last.then(|| JoinedLine::Unfinished(last_state(line.clone())));
        self.insert(key, line);
        shown
    }

    fn insert(&mut self, key: LineKey, line: LogLine) {
        if self.open.len() >= MAX_OPEN_LINES {
            let oldest = self.open.iter().min_by_key(|(_, line)| line.id);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.open.remove(&oldest);
            }
        }
        self.open.insert(key, line);
    }
}

fn line_of(row: LogRow) -> LogLine {
    let LogRow { id, run, at, stream, level, mut bytes, whole, .. } = row;
    drop_overwritten(&mut bytes);
    LogLine { id, run, at, stream, level, bytes, whole }
}

/// Returns a line with the row that continues it.
fn extended(mut line: LogLine, row: &LogRow) -> LogLine {
    line.id = row.id;
    line.whole = row.whole;
    line.bytes.extend_from_slice(&row.bytes);
    drop_overwritten(&mut line.bytes);
    line
}

/// Removes everything before the last carriage return that is followed by text. Carriage returns at the end are kept,
/// because what they overwrite is not known yet.
fn drop_overwritten(bytes: &mut Vec<u8>) {
    let is_return = |byte: &u8| *byte == b'\r';
    let text_end = bytes.iter().rposition(|byte| !is_return(byte)).map_or(0, |at| at + 1);
    if let Some(at) = bytes[..text_end].iter().rposition(is_return) {
        bytes.drain(..=at);
    }
}

/// Removes the carriage returns at the end of a line: nothing was written after them.
fn last_state(mut line: LogLine) -> LogLine {
    let text_end = line.bytes.iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
    line.bytes.truncate(text_end);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of stdout in run 1 of task 7.
    fn row(id: i64, text: &str, whole: bool, continues: bool) -> LogRow {
        LogRow {
            id,
            run: 1,
            at: DateTime::from_timestamp(id, 0).unwrap(),
            stream: "stdout".to_owned(),
            level: "INFO".to_owned(),
            bytes: text.as_bytes().to_vec(),
            whole,
            continues,
            is_last: true,
        }
    }

    /// Returns the ids and texts of the lines that these rows are, each with whether it has ended.
    fn joined(rows: impl IntoIterator<Item = LogRow>) -> Vec<(i64, String, bool)> {
        let mut lines = OpenLines::default();
        let joined = rows.into_iter().filter_map(|row| lines.add(7, row));
        joined
            .map(|joined| {
                let line = joined.line();
                let text = String::from_utf8(line.bytes.clone()).unwrap();
                (line.id, text, joined.has_ended())
            })
            .collect()
    }

    fn ended(id: i64, text: &str) -> (i64, String, bool) {
        (id, text.to_owned(), true)
    }

    fn unfinished(id: i64, text: &str) -> (i64, String, bool) {
        (id, text.to_owned(), false)
    }

    #[test]
    fn a_line_grows_until_its_newline() {
        let rows = [row(1, "a", false, false), row(3, "b", false, true), row(4, "", true, true)];
        assert_eq!(joined(rows), [unfinished(1, "a"), unfinished(3, "ab"), ended(4, "ab")]);
        let mut first = row(1, "a", false, false);
        first.is_last = false;
        assert_eq!(joined([first, row(2, "b", true, true)]), [ended(2, "ab")]);
    }

    #[test]
    fn lines_of_other_streams_runs_and_levels_do_not_disturb_it() {
        let other = |id, change: fn(&mut LogRow)| {
            let mut row = row(id, "other", false, false);
            change(&mut row);
            row
        };
        let rows = [
            row(1, "a", false, false),
            other(2, |row| row.stream = "stderr".to_owned()),
            other(3, |row| row.level = "WARNING".to_owned()),
            other(4, |row| row.run = 2),
            row(5, "b", true, true),
        ];
        assert_eq!(joined(rows).last(), Some(&ended(5, "ab")));
    }

    #[test]
    fn a_row_that_continues_nothing_begins_a_line() {
        let rows = [row(1, "a", false, false), row(2, "b", true, false), row(3, "c", true, true)];
        assert_eq!(joined(rows), [unfinished(1, "a"), ended(2, "b"), ended(3, "ac")]);
        assert_eq!(joined([row(1, "rest", true, true)]), [ended(1, "rest")]);
    }

    #[test]
    fn a_carriage_return_keeps_the_last_state() {
        let states = |texts: &[&str]| {
            let count = texts.len();
            let rows = texts
                .iter()
                .enumerate()
                .map(|(index, text)| row(index as i64 + 1, text, index + 1 == count, index > 0));
            joined(rows).into_iter().map(|(_, text, _)| text).collect::<Vec<_>>()
        };
        assert_eq!(states(&["10 %\r", "20 %\r", "done"]), ["10 %", "20 %", "done"]);
        assert_eq!(states(&["\r10 %", "\r20 %", ""]), ["10 %", "20 %", "20 %"]);
        assert_eq!(states(&["from Windows\r"]), ["from Windows"]);
        assert_eq!(states(&["a\rb\rc\r\r"]), ["c"]);
        assert_eq!(states(&["\r\r"]), [""]);
    }

    #[test]
    fn a_line_that_is_too_long_is_returned_in_parts() {
        let part = "x".repeat(MAX_JOINED_BYTES);
        let rows =
            [row(1, &part, false, false), row(2, &part, false, true), row(3, "y", true, true)];
        assert_eq!(joined(rows), [ended(1, &part), ended(2, &part), ended(3, "y")]);
        // Only the last state counts.
        let redraw = "x".repeat(MAX_JOINED_BYTES / 2) + "\r";
        let redraws = (1..=9).map(|id| row(id, &redraw, false, id > 1));
        let states = joined(redraws.chain([row(10, "10 %", true, true)]));
        assert_eq!(states.iter().filter(|(.., has_ended)| *has_ended).count(), 1);
        assert_eq!(states.last(), Some(&ended(10, "10 %")));
    }

    #[test]
    fn the_number_of_open_lines_is_limited() {
        let mut lines = OpenLines::default();
        for task in 1..=2 * MAX_OPEN_LINES as i64 {
            lines.add(task, row(task, "no newline", false, false));
        }
        assert_eq!(lines.open.len(), MAX_OPEN_LINES);
        let last = lines.add(2 * MAX_OPEN_LINES as i64, row(9_999, " yet", true, true)).unwrap();
        assert_eq!(last.line().bytes, b"no newline yet");
    }
}
