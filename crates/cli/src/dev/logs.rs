//! The lines that all tasks write, on one screen: `[count 12] the line`.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use rework_core::{
    db::{connect::Db, dsn::Dsn},
    log::{self, follow::Line},
};

use crate::{context::Context, escape};

/// Most lines that are read at once.
const PAGE: i64 = 2_000;
/// How many looks later than its successor a line may come.
const PATIENCE: u8 = 10;
/// More missing numbers than these are not lines that come late.
const MOST_MISSING: i64 = 1_000;

const PREFIX: Style = AnsiColor::Cyan.on_default();
const WORSE: Style = AnsiColor::Red.on_default();

/// Follows the logs of all tasks.
#[derive(Debug)]
pub(crate) struct Logs {
    dsn: Dsn,
    db: Option<Db>,
    cursor: Option<Cursor>,
    away: bool,
}

impl Logs {
    /// Begins at the end, at the first look.
    pub(crate) fn new(dsn: Dsn) -> Logs {
        Logs { dsn, db: None, cursor: None, away: false }
    }

    /// Prints what is new. When the database is away, says so once and tries again at the next
    /// look; only what cannot be printed is an error.
    pub(crate) async fn look(&mut self, context: &Context) -> anyhow::Result<()> {
        loop {
            let lines = match self.read().await {
                Ok(lines) => lines,
                Err(error) => {
                    self.db = None;
                    if !std::mem::replace(&mut self.away, true) {
                        context.warn(format_args!("the logs cannot be followed now: {error}"));
                    }
                    return Ok(());
                }
            };
            self.away = false;
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

    async fn read(&mut self) -> rework_core::db::error::Result<Vec<Line>> {
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

/// How far the logs have been read. Numbers are given out before they are committed, so there may
/// be gaps that are filled later.
#[derive(Debug)]
struct Cursor {
    last: i64,
    /// Numbers below `last` that were not seen, and for how many more looks they are waited for.
    missing: BTreeMap<i64, u8>,
}

impl Cursor {
    fn after(last: i64) -> Cursor {
        Cursor { last, missing: BTreeMap::new() }
    }

    /// Takes note of what one look has found, in order.
    fn advance(&mut self, found: impl Iterator<Item = i64>) {
        self.missing.retain(|_, looks| {
            *looks -= 1;
            *looks > 0
        });
        for id in found {
            if id <= self.last {
                self.missing.remove(&id);
                continue;
            }
            let first = (self.last + 1).max(id - MOST_MISSING);
            self.missing.extend((first..id).map(|missing| (missing, PATIENCE)));
            self.last = id;
        }
    }
}

/// The two streams that everybody expects are not named, others are, with the level.
fn append(out: &mut Vec<u8>, line: &Line, terminal: bool, colour: bool) {
    let worse = matches!(line.level.as_str(), "ERROR" | "WARNING") || line.stream == "stderr";
    let style = match (colour, worse) {
        (false, _) => Style::new(),
        (true, true) => WORSE,
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
    fn a_line_that_is_committed_late_is_not_missed() {
        let mut cursor = Cursor::after(10);
        cursor.advance([11, 14].into_iter());
        assert_eq!(cursor.missing.keys().copied().collect::<Vec<_>>(), [12, 13]);
        cursor.advance([13, 15].into_iter());
        assert_eq!(cursor.missing.keys().copied().collect::<Vec<_>>(), [12]);
        assert_eq!(cursor.last, 15);
    }

    #[test]
    fn nobody_waits_for_ever_for_what_was_rolled_back() {
        let mut cursor = Cursor::after(0);
        cursor.advance([5_000_000].into_iter());
        assert_eq!(cursor.missing.len(), MOST_MISSING as usize);
        for _ in 0..PATIENCE {
            cursor.advance(std::iter::empty());
        }
        assert!(cursor.missing.is_empty());
    }

    #[test]
    fn a_line_says_whose_it_is() {
        let line = |stream: &str, level: &str| {
            let mut out = Vec::new();
            let line = Line {
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
