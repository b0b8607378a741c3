//! Prints the log lines of all tasks as they are written, each with its operation and task: `[count 12] the line`.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use rework_core::{
    db::{connect::Db, dsn::Dsn},
    log::{
        self,
        follow::{FollowedPage, FollowedRow},
        lines::{LineKey, LogLine, OpenLines},
    },
};

use crate::{
    context::Context,
    escape,
    live_output::{LiveLine, LiveOutput, PrintedLine},
};

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
    /// The lines that have no newline yet.
    open: OpenLines,
    output: LiveOutput,
    /// Whether the last poll failed. The warning is printed only once.
    failed: bool,
}

impl LogFollower {
    /// Returns a follower that starts at the end of the logs as of the first poll.
    pub(crate) fn new(dsn: Dsn, context: &Context) -> LogFollower {
        let output = LiveOutput::new(context.terminal);
        let open = OpenLines::default();
        LogFollower { dsn, db: None, cursor: None, open, output, failed: false }
    }

    /// Ends a line that has no newline yet, so that something else can be printed.
    pub(crate) fn end_line(&mut self, context: &Context) -> anyhow::Result<()> {
        let mut out = Vec::new();
        self.output.end_line(&mut out);
        if out.is_empty() { Ok(()) } else { context.write(&out) }
    }

    /// Prints the lines that were written since the last call.
    ///
    /// If the database cannot be read, prints one warning and tries again at the next call. `Err` only if printing
    /// fails.
    pub(crate) async fn print_new(&mut self, context: &Context) -> anyhow::Result<()> {
        loop {
            let page = match self.read().await {
                Ok(page) => page,
                Err(error) => {
                    self.db = None;
                    if !std::mem::replace(&mut self.failed, true) {
                        self.end_line(context)?;
                        context.warn(format_args!("cannot read the logs, trying again: {error}"));
                    }
                    return Ok(());
                }
            };
            self.failed = false;
            let lines = page.rows.into_iter().filter_map(|followed| {
                live_line(&mut self.open, followed, context.terminal, context.colour)
            });
            let lines: Vec<LiveLine> = lines.collect();
            let mut out = Vec::new();
            self.output.append(&mut out, &lines);
            if !out.is_empty() {
                context.write(&out)?;
            }
            if page.is_last {
                return Ok(());
            }
        }
    }

    async fn read(&mut self) -> rework_core::db::error::Result<FollowedPage> {
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
        let page = log::follow::since(db, cursor.last, &late).await?;
        cursor.advance(page.rows.iter().map(|followed| followed.row.id));
        Ok(page)
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

/// Returns the line that a row belongs to, as far as it is written. `None` if it comes with a later row.
fn live_line(
    open: &mut OpenLines,
    FollowedRow { task, operation, row }: FollowedRow,
    terminal: bool,
    colour: bool,
) -> Option<LiveLine> {
    let joined = open.add(task, row)?;
    let source = format!("[{operation} {task}]");
    Some(LiveLine {
        key: LineKey::of_line(task, joined.line()),
        printed: printed(&source, joined.line(), terminal, colour),
        has_ended: joined.has_ended(),
    })
}

/// Returns a line with its source, the operation and task. The stream and the level are added unless the stream is
/// `stdout` or `stderr`.
fn printed(source: &str, line: &LogLine, terminal: bool, colour: bool) -> PrintedLine {
    let is_problem = matches!(line.level.as_str(), "ERROR" | "WARNING") || line.stream == "stderr";
    let style = match (colour, is_problem) {
        (false, _) => Style::new(),
        (true, true) => PROBLEM_PREFIX,
        (true, false) => PREFIX,
    };
    let logger = match line.stream.as_str() {
        "stdout" | "stderr" => String::new(),
        stream => format!("{}: {}: ", escape::line(stream), line.level),
    };
    let prefix = format!("{style}{source}{style:#} {logger}");
    let text = if terminal { escape::bytes(&line.bytes).into_bytes() } else { line.bytes.clone() };
    PrintedLine { prefix, style: Style::new(), text }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rework_core::log::lines::LogRow;

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
        let line = |stream: &str, level: &str, whole: bool| {
            let row = LogRow {
                id: 1,
                run: 1,
                at: DateTime::UNIX_EPOCH,
                stream: stream.into(),
                level: level.into(),
                bytes: b"one\x1b[2J\xff".to_vec(),
                whole,
                continues: false,
                is_last: true,
            };
            let followed = FollowedRow { task: 12, operation: "count".into(), row };
            let line = live_line(&mut OpenLines::default(), followed, true, false).unwrap();
            assert_eq!(line.has_ended, whole);
            let mut out = Vec::new();
            line.printed.append_to(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line("stdout", "INFO", true), "[count 12] one\\x1b[2J\\xff");
        assert_eq!(line("stderr", "WARNING", false), "[count 12] one\\x1b[2J\\xff");
        assert_eq!(line("db", "WARNING", true), "[count 12] db: WARNING: one\\x1b[2J\\xff");
    }
}
