//! Splits the output of a runner into log lines, and assigns these to runs. Where runs follow one
//! another without a pause, the runner writes a boundary after each run, bytes that separate the
//! output of two runs; what follows the boundary belongs to the next run.
//!
//! A line that stays without its newline becomes visible, too: after [`PIECE_WAIT`] the bytes that were written so far
//! become a row of the log, and later bytes become further rows that continue it. Readers join the rows
//! (`core/src/log/lines.rs`). A short run ends before, so its lines are one row each.

use std::{collections::VecDeque, rc::Rc, time::Duration};

use chrono::Utc;
use memchr::memchr;
use rework_core::task::progress::NewLogLine;
use rework_wire::runner::BOUNDARY_DELIMITER;
use tokio::time::Instant;

use crate::claimed_run::RunKey;

/// The longest piece of a line that is stored as one row. A longer line becomes several rows, each but the last without
/// the flag `whole`, and each but the first with the flag `continues`.
pub(crate) const MAX_LINE_BYTES: usize = 256 << 10;

/// How long the bytes of an unfinished line wait for the newline before they become a row. Together with the pause of a
/// reader that polls four times a second, they are visible well within a second. A progress bar that is drawn all the
/// time causes two or three rows a second.
const PIECE_WAIT: Duration = Duration::from_millis(400);

/// The splitter of one stream. The *current run* is the one whose end the worker handles next; the runner may already
/// be several runs further.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    stream: &'static str,
    level: &'static str,
    /// The bytes after the last newline that are in no row yet.
    partial_line: Vec<u8>,
    /// When the first byte of `partial_line` arrived; `None` if there is none.
    partial_since: Option<Instant>,
    /// Whether a row has an earlier piece of the line of `partial_line`.
    continues: bool,
    /// The last bytes, if they may be the beginning of a boundary.
    partial_boundary: Vec<u8>,
    /// The boundaries that are expected, with the runs that they end.
    boundaries: VecDeque<(RunKey, Rc<[u8]>)>,
    /// The runs whose boundaries have arrived, from the current run on.
    passed_runs: VecDeque<RunKey>,
    /// The lines of the runs after the current one, one list for each boundary that has arrived.
    later_lines: VecDeque<Vec<NewLogLine>>,
}

impl LineSplitter {
    /// Creates the splitter of a stream with this name, whose lines have this level.
    pub(crate) fn new(stream: &'static str, level: &'static str) -> LineSplitter {
        let (partial_line, partial_boundary) = (Vec::new(), Vec::new());
        let (boundaries, passed_runs, later_lines) =
            (VecDeque::new(), VecDeque::new(), VecDeque::new());
        LineSplitter {
            stream,
            level,
            partial_line,
            partial_since: None,
            continues: false,
            partial_boundary,
            boundaries,
            passed_runs,
            later_lines,
        }
    }

    /// Records that a run was sent to the runner that writes this boundary at its end.
    pub(crate) fn expect(&mut self, run: RunKey, boundary: Rc<[u8]>) {
        self.boundaries.push_back((run, boundary));
    }

    /// Records that a run will not start, because it was revoked. Boundaries of later runs may have arrived already.
    pub(crate) fn forget(&mut self, run: RunKey) {
        self.boundaries.retain(|(key, _)| *key != run);
        let index = self.passed_runs.iter().position(|key| *key == run);
        if let Some(index) = index.filter(|index| *index > 0) {
            self.passed_runs.remove(index);
            let run_lines = self.later_lines.remove(index - 1).unwrap_or_default();
            if let Some(next) = self.later_lines.get_mut(index - 1) {
                next.splice(0..0, run_lines);
            }
        }
    }

    /// Handles the boundary of the run at `index`. The expected runs before it did not start, or wrote no boundary. So
    /// the lines since the last boundary belong to the run at `index`.
    fn on_boundary(&mut self, index: usize, lines: &mut Vec<NewLogLine>) {
        if index > 0 {
            let run_lines = std::mem::take(self.later_lines.back_mut().unwrap_or(lines));
            self.later_lines.extend((0..index).map(|_| Vec::new()));
            *self.later_lines.back_mut().unwrap_or(lines) = run_lines;
        }
        self.passed_runs.extend(self.boundaries.drain(..=index).map(|(run, _)| run));
        self.later_lines.push_back(Vec::new());
    }

    /// Adds bytes from the stream. Appends the complete lines of the current run to `lines`; lines of later runs are
    /// kept.
    pub(crate) fn push(&mut self, bytes: &[u8], lines: &mut Vec<NewLogLine>) {
        let joined;
        let mut bytes = bytes;
        if !self.partial_boundary.is_empty() {
            joined = [std::mem::take(&mut self.partial_boundary).as_slice(), bytes].concat();
            bytes = &joined;
        }
        while !self.boundaries.is_empty() {
            let Some(at) = memchr(BOUNDARY_DELIMITER, bytes) else { break };
            let (before, rest) = bytes.split_at(at);
            if let Some(index) =
                self.boundaries.iter().position(|(_, boundary)| rest.starts_with(boundary))
            {
                let after_boundary = &rest[self.boundaries[index].1.len()..];
                self.split(before, lines);
                self.finish_line(lines);
                self.on_boundary(index, lines);
                bytes = after_boundary;
            } else if self.boundaries.iter().any(|(_, boundary)| boundary.starts_with(rest)) {
                self.partial_boundary = rest.to_vec();
                return self.split(before, lines);
            } else {
                self.split(&bytes[..=at], lines);
                bytes = &bytes[at + 1..];
            }
        }
        self.split(bytes, lines);
    }

    /// Returns when the bytes of the unfinished line have waited long enough to become a row. `None` if there are none.
    pub(crate) fn piece_due_at(&self) -> Option<Instant> {
        self.partial_since.map(|since| since + PIECE_WAIT)
    }

    /// Appends the bytes of the unfinished line to `lines` as a row, if they have waited long enough.
    pub(crate) fn push_piece(&mut self, now: Instant, lines: &mut Vec<NewLogLine>) {
        if self.piece_due_at().is_some_and(|due_at| due_at <= now) {
            let piece = self.take_row(false);
            self.push_line(piece, lines);
        }
    }

    /// Moves on to the next run, after everything that the current run wrote was pushed. Appends the last line of the
    /// ended run to `ended`, and the first lines of the following run to `next`.
    pub(crate) fn advance(&mut self, ended: &mut Vec<NewLogLine>, next: &mut Vec<NewLogLine>) {
        if let Some(first) = self.later_lines.pop_front() {
            self.passed_runs.pop_front();
            return next.extend(first);
        }
        // The run wrote no boundary, because it closed or replaced the stream.
        self.boundaries.pop_front();
        self.flush_partial_boundary();
        self.finish_line(ended);
    }

    /// Ends the last run: everything that is left belongs to it.
    pub(crate) fn finish(&mut self, lines: &mut Vec<NewLogLine>) {
        self.flush_partial_boundary();
        self.finish_line(lines);
        lines.extend(self.later_lines.drain(..).flatten());
        self.passed_runs.clear();
        self.boundaries.clear();
    }

    /// Splits bytes without boundaries into lines.
    fn split(&mut self, mut bytes: &[u8], lines: &mut Vec<NewLogLine>) {
        while let Some(end) = memchr(b'\n', bytes) {
            self.partial_line.extend_from_slice(&bytes[..end]);
            self.split_long_line(lines);
            let line = self.take_row(true);
            self.push_line(line, lines);
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.partial_since.get_or_insert_with(Instant::now);
            self.partial_line.extend_from_slice(bytes);
            self.split_long_line(lines);
        }
    }

    /// Treats bytes that could have been the beginning of a boundary as text.
    fn flush_partial_boundary(&mut self) {
        let partial_boundary = std::mem::take(&mut self.partial_boundary);
        self.partial_line.extend(partial_boundary);
    }

    /// Ends a line that has no newline.
    fn finish_line(&mut self, lines: &mut Vec<NewLogLine>) {
        if !self.partial_line.is_empty() {
            let line = self.take_row(false);
            self.push_line(line, lines);
        }
        self.continues = false;
    }

    /// Splits off pieces while the unfinished line is too long.
    fn split_long_line(&mut self, lines: &mut Vec<NewLogLine>) {
        while self.partial_line.len() > MAX_LINE_BYTES {
            let rest = self.partial_line.split_off(MAX_LINE_BYTES);
            let since = self.partial_since;
            let piece = self.take_row(false);
            self.push_line(piece, lines);
            (self.partial_line, self.partial_since) = (rest, since);
        }
    }

    fn push_line(&mut self, line: NewLogLine, lines: &mut Vec<NewLogLine>) {
        self.later_lines.back_mut().unwrap_or(lines).push(line);
    }

    /// Removes the bytes of the unfinished line, and returns them as a row. `whole` is whether a newline follows.
    fn take_row(&mut self, whole: bool) -> NewLogLine {
        self.partial_since = None;
        NewLogLine {
            at: Utc::now(),
            stream: self.stream.to_owned(),
            level: self.level,
            bytes: std::mem::take(&mut self.partial_line),
            whole,
            continues: std::mem::replace(&mut self.continues, !whole),
        }
    }
}

#[cfg(test)]
mod tests;
