//! Bytes become lines: in order, attributed to one run, bounded.

use std::{collections::VecDeque, rc::Rc};

use chrono::Utc;
use memchr::memchr;
use rework_core::task::progress::Line;
use rework_wire::runner::MARK;

/// Longest piece of a line that is kept as one row; a longer line is several, each but the last
/// marked as going on.
pub(crate) const MAX_LINE_BYTES: usize = 256 << 10;

/// Most bytes of log that one run keeps.
pub(crate) const MAX_LOG_BYTES: u64 = 50 << 20;

/// What a row of the log costs beside its bytes: so that empty lines are bounded too.
const ROW_BYTES: u64 = 16;

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

/// Task and run.
pub(crate) type Key = (i64, i64);

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

/// What a run may still log, and what it lost.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
    cut_lines: u64,
    cut_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { left: MAX_LOG_BYTES, cut_lines: 0, cut_bytes: 0 }
    }
}

impl Budget {
    /// Keeps what fits, in order; after the first line that does not, none does.
    pub(crate) fn keep(&mut self, lines: &mut Vec<Line>) {
        lines.retain(|line| {
            let bytes = line.bytes.len() as u64;
            let cost = bytes + ROW_BYTES;
            if self.cut_bytes == 0 && cost <= self.left {
                self.left -= cost;
                return true;
            }
            self.cut_lines += u64::from(line.whole);
            self.cut_bytes += bytes + u64::from(line.whole);
            false
        });
    }

    /// The mark that stands for all that was cut.
    pub(crate) fn mark(&self) -> Option<Line> {
        (self.cut_bytes > 0).then(|| Line {
            at: Utc::now(),
            stream: "rework".to_owned(),
            level: "WARNING",
            bytes: format!(
                "the log of a run is limited to {} MiB: {} lines ({} bytes) more were written and not kept",
                MAX_LOG_BYTES >> 20,
                self.cut_lines,
                self.cut_bytes
            )
            .into_bytes(),
            whole: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use rework_wire::runner::mark_bytes;

    use super::*;

    fn split(parts: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut splitter = Splitter::new("stdout", "INFO");
        let mut lines = Vec::new();
        for part in parts {
            splitter.push(part, &mut lines);
        }
        splitter.finish(&mut lines);
        lines.into_iter().map(|line| (line.bytes, line.whole)).collect()
    }

    #[test]
    fn lines_are_whole_whatever_the_reads() {
        assert_eq!(
            split(&[b"a", b"b\nx\n\n", b"\x00\xff", b" end"]),
            [
                (b"ab".to_vec(), true),
                (b"x".to_vec(), true),
                (b"".to_vec(), true),
                (b"\x00\xff end".to_vec(), false)
            ]
        );
        assert_eq!(split(&[b"", b"one\n"]), [(b"one".to_vec(), true)]);
    }

    #[test]
    fn marks_part_runs_wherever_reads_cut_them() {
        let marks = [mark_bytes("first"), mark_bytes("second")];
        let written: &[&[u8]] = &[b"a\nb", &marks[0], b"\x1enone\nc\n", &marks[1], b"late\n"];
        let written = written.concat();
        for cut in 0..=written.len() {
            let mut splitter = Splitter::new("stdout", "INFO");
            splitter.expect((1, 1), marks[0].clone().into());
            splitter.expect((7, 1), b"never".as_slice().into());
            splitter.expect((2, 1), marks[1].clone().into());
            splitter.forget((7, 1));
            let mut runs = vec![Vec::new(); 3];
            splitter.push(&written[..cut], &mut runs[0]);
            splitter.push(&written[cut..], &mut runs[0]);
            for run in 0..2 {
                let (over, next) = runs.split_at_mut(run + 1);
                splitter.advance(&mut over[run], &mut next[0]);
            }
            splitter.finish(&mut runs[2]);
            let runs = runs.map_lines();
            let expected: [&[(&[u8], bool)]; 3] = [
                &[(b"a", true), (b"b", false)],
                &[(b"\x1enone", true), (b"c", true)],
                &[(b"late", true)],
            ];
            assert_eq!(
                runs,
                expected
                    .map(|lines| lines.iter().map(|(l, w)| (l.to_vec(), *w)).collect::<Vec<_>>()),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_run_without_its_mark_keeps_what_came() {
        let mut splitter = Splitter::new("stdout", "INFO");
        splitter.expect((1, 1), mark_bytes("one").into());
        splitter.expect((2, 1), mark_bytes("two").into());
        let (mut one, mut two) = (Vec::new(), Vec::new());
        splitter.push(b"of the first", &mut one);
        splitter.advance(&mut one, &mut two);
        splitter.push(&[b"of the second\n".as_slice(), &mark_bytes("two")].concat(), &mut two);
        splitter.finish(&mut two);
        assert_eq!((one.len(), two.len()), (1, 1));
        assert_eq!(two[0].bytes, b"of the second");
    }

    #[test]
    fn what_is_taken_back_late_shifts_nothing() {
        let mark = |name: &str| mark_bytes(name);
        let mut splitter = Splitter::new("stdout", "INFO");
        for (task, name) in [(1, "one"), (2, "two"), (3, "three")] {
            splitter.expect((task, 1), mark(name).into());
        }
        let mut runs = vec![Vec::new(); 3];
        let all = [b"a\n".as_slice(), &mark("one"), b"c\n", &mark("three"), b"late\n"].concat();
        splitter.push(&all, &mut runs[0]);
        let (over, next) = runs.split_at_mut(1);
        splitter.advance(&mut over[0], &mut next[0]);
        // Two was in front, and it turns out only now that it never began.
        let (over, next) = runs.split_at_mut(2);
        splitter.advance(&mut over[1], &mut next[0]);
        splitter.advance(&mut Vec::new(), &mut next[0]);
        let bytes = runs.map_lines();
        assert!(bytes[1].is_empty());
        assert_eq!(
            bytes[2].iter().map(|(line, _)| line.as_slice()).collect::<Vec<_>>(),
            [b"c".as_slice(), b"late"]
        );

        let mut splitter = Splitter::new("stdout", "INFO");
        for (task, name) in [(1, "one"), (2, "two"), (3, "three")] {
            splitter.expect((task, 1), mark(name).into());
        }
        let (mut one, mut three) = (Vec::new(), Vec::new());
        splitter.push(&all, &mut one);
        splitter.forget((2, 1));
        splitter.advance(&mut one, &mut three);
        assert_eq!((one.len(), three.len()), (1, 1));
        assert_eq!(three[0].bytes, b"c");
    }

    trait Lines {
        fn map_lines(self) -> Vec<Vec<(Vec<u8>, bool)>>;
    }

    impl Lines for Vec<Vec<Line>> {
        fn map_lines(self) -> Vec<Vec<(Vec<u8>, bool)>> {
            let of =
                |run: Vec<Line>| run.into_iter().map(|line| (line.bytes, line.whole)).collect();
            self.into_iter().map(of).collect()
        }
    }

    #[test]
    fn a_long_line_is_several_rows_that_make_it_up() {
        let long = vec![b'x'; 2 * MAX_LINE_BYTES + 5];
        let lines = split(&[&long, b"\n"]);
        assert_eq!(lines.iter().map(|(_, whole)| *whole).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(lines.concat_bytes(), long);
    }

    trait Concat {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl Concat for Vec<(Vec<u8>, bool)> {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
        }
    }

    #[test]
    fn what_is_past_the_limit_is_counted_not_kept() {
        let mut budget = Budget { left: 40, ..Budget::default() };
        let mut splitter = Splitter::new("stdout", "INFO");
        let mut lines = Vec::new();
        splitter.push(b"1234\n5678\nabcd\ne\n", &mut lines);
        budget.keep(&mut lines);
        assert_eq!(lines.len(), 2);
        let mark = String::from_utf8(budget.mark().unwrap().bytes).unwrap();
        assert!(mark.contains("2 lines (7 bytes)"), "{mark}");
        assert!(Budget::default().mark().is_none());
    }
}
