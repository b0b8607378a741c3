//! Bytes become lines, each of one run: in order, and parted where a runner has written the mark between two runs.

use std::{collections::VecDeque, rc::Rc};

use chrono::Utc;
use memchr::memchr;
use rework_core::task::progress::Line;
use rework_wire::runner::MARK;

use crate::claimed_run::Key;

/// Longest piece of a line that is kept as one row; a longer line is several, each but the last
/// marked as going on.
pub(crate) const MAX_LINE_BYTES: usize = 256 << 10;

/// Splits what a stream carries into lines, and the lines among the runs that wrote them: where a run
/// has a mark, what comes behind it is the next one's.
#[derive(Debug)]
pub(crate) struct Splitter {
    stream: &'static str,
    level: &'static str,
    tail: Vec<u8>,
    /// The last bytes, where they may be the beginning of a mark.
    held: Vec<u8>,
    /// The marks that are to come, with the runs that they end.
    marks: VecDeque<(Key, Rc<[u8]>)>,
    /// The runs whose marks have come, from the one in front.
    passed: VecDeque<Key>,
    /// The lines of runs behind the one in front: of as many as there were marks.
    later: VecDeque<Vec<Line>>,
}

impl Splitter {
    /// For one of the runner's own streams.
    pub(crate) fn new(stream: &'static str, level: &'static str) -> Splitter {
        let (tail, held) = (Vec::new(), Vec::new());
        let (marks, passed, later) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Splitter { stream, level, tail, held, marks, passed, later }
    }

    /// A run was handed over that writes this mark at its end.
    pub(crate) fn expect(&mut self, run: Key, mark: Rc<[u8]>) {
        self.marks.push_back((run, mark));
    }

    /// A run that was handed over will not begin. What follows may have come already.
    pub(crate) fn forget(&mut self, run: Key) {
        self.marks.retain(|(key, _)| *key != run);
        let passed = self.passed.iter().position(|key| *key == run);
        if let Some(at) = passed.filter(|at| *at > 0) {
            self.passed.remove(at);
            let own = self.later.remove(at - 1).unwrap_or_default();
            if let Some(next) = self.later.get_mut(at - 1) {
                next.splice(0..0, own);
            }
        }
    }

    /// The mark of the run at this place has come. Those before it did not begin, or lost theirs: what
    /// came since the last mark is of the run that wrote this one.
    fn pass(&mut self, place: usize, lines: &mut Vec<Line>) {
        if place > 0 {
            let own = std::mem::take(self.later.back_mut().unwrap_or(lines));
            self.later.extend((0..place).map(|_| Vec::new()));
            *self.later.back_mut().unwrap_or(lines) = own;
        }
        self.passed.extend(self.marks.drain(..=place).map(|(run, _)| run));
        self.later.push_back(Vec::new());
    }

    /// The lines of the run in front that are whole now; what follows the last newline waits.
    pub(crate) fn push(&mut self, bytes: &[u8], lines: &mut Vec<Line>) {
        let joined;
        let mut bytes = bytes;
        if !self.held.is_empty() {
            joined = [std::mem::take(&mut self.held).as_slice(), bytes].concat();
            bytes = &joined;
        }
        while !self.marks.is_empty() {
            let Some(at) = memchr(MARK, bytes) else { break };
            let (before, rest) = bytes.split_at(at);
            if let Some(found) = self.marks.iter().position(|(_, mark)| rest.starts_with(mark)) {
                let behind = &rest[self.marks[found].1.len()..];
                self.split(before, lines);
                self.finish_line(lines);
                self.pass(found, lines);
                bytes = behind;
            } else if self.marks.iter().any(|(_, mark)| mark.starts_with(rest)) {
                self.held = rest.to_vec();
                return self.split(before, lines);
            } else {
                self.split(&bytes[..=at], lines);
                bytes = &bytes[at + 1..];
            }
        }
        self.split(bytes, lines);
    }

    /// The run in front is over, and all that it wrote was pushed: its last lines, and the first of the
    /// run behind it.
    pub(crate) fn advance(&mut self, over: &mut Vec<Line>, next: &mut Vec<Line>) {
        if let Some(first) = self.later.pop_front() {
            self.passed.pop_front();
            return next.extend(first);
        }
        // It has put something else in the place of the stream.
        self.marks.pop_front();
        self.take_held();
        self.finish_line(over);
    }

    /// The last run is over: whatever there is belongs to it.
    pub(crate) fn finish(&mut self, lines: &mut Vec<Line>) {
        self.take_held();
        self.finish_line(lines);
        lines.extend(self.later.drain(..).flatten());
        self.passed.clear();
        self.marks.clear();
    }

    fn split(&mut self, mut bytes: &[u8], lines: &mut Vec<Line>) {
        while let Some(end) = memchr(b'\n', bytes) {
            self.tail.extend_from_slice(&bytes[..end]);
            self.cut(lines);
            let line = std::mem::take(&mut self.tail);
            let line = self.line(line, true);
            self.keep(line, lines);
            bytes = &bytes[end + 1..];
        }
        self.tail.extend_from_slice(bytes);
        self.cut(lines);
    }

    /// What was held is no mark.
    fn take_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.tail.extend(held);
    }

    /// What has no newline at its end.
    fn finish_line(&mut self, lines: &mut Vec<Line>) {
        if !self.tail.is_empty() {
            let line = std::mem::take(&mut self.tail);
            let line = self.line(line, false);
            self.keep(line, lines);
        }
    }

    fn cut(&mut self, lines: &mut Vec<Line>) {
        while self.tail.len() > MAX_LINE_BYTES {
            let rest = self.tail.split_off(MAX_LINE_BYTES);
            let piece = std::mem::replace(&mut self.tail, rest);
            let piece = self.line(piece, false);
            self.keep(piece, lines);
        }
    }

    fn keep(&mut self, line: Line, lines: &mut Vec<Line>) {
        self.later.back_mut().unwrap_or(lines).push(line);
    }

    fn line(&self, bytes: Vec<u8>, whole: bool) -> Line {
        Line { at: Utc::now(), stream: self.stream.to_owned(), level: self.level, bytes, whole }
    }
}

#[cfg(test)]
mod tests;
