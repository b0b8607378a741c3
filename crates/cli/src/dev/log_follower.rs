//! Prints the log lines of all tasks as they are written, each with its operation and task: `[count 12] the line`.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use rework_core::{
    db::{connect::Db, dsn::Dsn},
    log::{self, follow::FollowedLine},
};

use crate::{context::Context, escape};

/// The maximum number of lines that are read at once.
const PAGE: i64 = 2_000;
/// The number of polls during which a missing id is still expected. At one poll per 300 ms this is 3 seconds.
const POLLS_FOR_MISSING: u8 = 10;
/// The maximum number of ids that one gap adds as missing. In a larger gap, only the last ids are expected.
const MAX_MISSING: i64 = 1_000;

const PREFIX: Style = AnsiColor::Cyan.on_default();
const PROBLEM_PREFIX: Style = AnsiColor::Red.on_default();

/// A reader of the logs of all tasks.
#[derive(Debug)]
pub(crate) struct LogFollower {
    dsn: Dsn,
    /// The connection. `None` before the first poll and after an error.
    db: Option<Db>,
    /// The position in the logs. `None` before the first poll.
    cursor: Option<Cursor>,
    /// Whether the last poll failed. The warning is printed only once.
    failed: bool,
}

impl LogFollower {
    /// Returns a follower that starts at the end of the logs as of the first poll.
    pub(crate) fn new(dsn: Dsn) -> LogFollower {
        LogFollower { dsn, db: None, cursor: None, failed: false }
    }

    /// Prints the lines that were written since the last call.
    ///
    /// If the database cannot be read, prints one warning and tries again at the next call. `Err` only if printing
    /// fails.
    pub(crate) async fn print_new(&mut self, context: &Context) -> anyhow::Result<()> {
        loop {
            let lines = match self.read().await {
                Ok(lines) => lines,
                Err(error) => {
                    self.db = None;
                    if !std::mem::replace(&mut self.failed, true) {
                        context.warn(format_args!("cannot read the logs, trying again: {error}"));
                    }
                    return Ok(());
                }
            };
            self.failed = false;
            let mut out = Vec::new();
            for line in &lines {
                append(&mut out, line, context.terminal, context.colour);
            }
            if !out.is_empty() {
                context.write(&out)?;
            }
            if lines.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    async fn read(&mut self) -> rework_core::db::error::Result<Vec<FollowedLine>> {
        let db = match self.db.take() {
            Some(db) if !db.is_closed() => db,
            _ => Db::connect(&self.dsn, "rework dev").await?,
        };
        let db = self.db.insert(db);
        let cursor = match &mut self.cursor {
            Some(cursor) => cursor,
            none => none.insert(Cursor::after(log::follow::last(db).await?)),
        };
        let late: Vec<i64> = cursor.missing.keys().copied().collect();
        let lines = log::follow::since(db, cursor.last, &late, PAGE).await?;
        cursor.advance(lines.iter().map(|line| line.id));
        Ok(lines)
    }
}

/// The position in the logs.
///
/// A transaction takes the ids of its lines before it commits. So a line with a lower id may become visible later than
/// a line with a higher id, and gaps in the ids must be read again.
#[derive(Debug)]
struct Cursor {
    /// The highest id that was read.
    last: i64,
    /// The ids below `last` that were not read yet, with the number of polls for which they are still expected.
    missing: BTreeMap<i64, u8>,
}

impl Cursor {
    fn after(last: i64) -> Cursor {
        Cursor { last, missing: BTreeMap::new() }
    }

    /// Records the ids that one poll has read, in ascending order.
    fn advance(&mut self, ids: impl Iterator<Item = i64>) {
        self.missing.retain(|_, polls| {
            *polls -= 1;
            *polls > 0
        });
        for id in ids {
            if id <= self.last {
                self.missing.remove(&id);
                continue;
            }
            let first = (self.last + 1).max(id - MAX_MISSING);
            self.missing.extend((first..id).map(|missing| (missing, POLLS_FOR_MISSING)));
            self.last = id;
        }
    }
}

/// Appends a line with its operation and task. The stream and the level are added unless the stream is `stdout` or
/// `stderr`.
fn append(out: &mut Vec<u8>, line: &FollowedLine, terminal: bool, colour: bool) {
    let is_problem = matches!(line.level.as_str(), "ERROR" | "WARNING") || line.stream == "stderr";
    let style = match (colour, is_problem) {
        (false, _) => Style::new(),
        (true, true) => PROBLEM_PREFIX,
        (true, false) => PREFIX,
    };
    let prefix = format!("[{} {}]", line.operation, line.task);
    out.extend(format!("{style}{prefix}{style:#} ").bytes());
    if !matches!(line.stream.as_str(), "stdout" | "stderr") {
        out.extend(format!("{}: {}: ", line.stream, line.level).bytes());
    }
    if terminal {
        out.extend(escape::bytes(&line.bytes).bytes());
    } else {
        out.extend(&line.bytes);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_committed_late_is_still_expected() {
        let mut cursor = Cursor::after(10);
        cursor.advance([11, 14].into_iter());
        assert_eq!(cursor.missing.keys().copied().collect::<Vec<_>>(), [12, 13]);
        cursor.advance([13, 15].into_iter());
        assert_eq!(cursor.missing.keys().copied().collect::<Vec<_>>(), [12]);
        assert_eq!(cursor.last, 15);
    }

    #[test]
    fn the_ids_of_a_rolled_back_transaction_are_not_expected_for_ever() {
        let mut cursor = Cursor::after(0);
        cursor.advance([5_000_000].into_iter());
        assert_eq!(cursor.missing.len(), MAX_MISSING as usize);
        for _ in 0..POLLS_FOR_MISSING {
            cursor.advance(std::iter::empty());
        }
        assert!(cursor.missing.is_empty());
    }

    #[test]
    fn a_line_starts_with_its_operation_and_task() {
        let line = |stream: &str, level: &str| {
            let mut out = Vec::new();
            let line = FollowedLine {
                id: 1,
                task: 12,
                operation: "count".into(),
                stream: stream.into(),
                level: level.into(),
                bytes: b"one\x1b[2J\xff".to_vec(),
            };
            append(&mut out, &line, true, false);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line("stdout", "INFO"), "[count 12] one\\x1b[2J\\xff\n");
        assert_eq!(line("db", "WARNING"), "[count 12] db: WARNING: one\\x1b[2J\\xff\n");
    }
}
