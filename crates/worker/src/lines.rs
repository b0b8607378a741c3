//! Bytes become lines: in order, attributed to one run, bounded.

use chrono::Utc;
use rework_core::report::Line;

/// Longest piece of a line that is kept as one row; a longer line is several, each but the last
/// marked as going on.
pub(crate) const MAX_LINE_BYTES: usize = 256 << 10;

/// Most bytes of log that one run keeps.
pub(crate) const MAX_LOG_BYTES: u64 = 50 << 20;

/// What a row of the log costs beside its bytes: so that empty lines are bounded too.
const ROW_BYTES: u64 = 16;

/// Splits what a stream carries.
#[derive(Debug)]
pub(crate) struct Splitter {
    stream: &'static str,
    level: &'static str,
    tail: Vec<u8>,
}

impl Splitter {
    /// For one of the runner's own streams.
    pub(crate) fn new(stream: &'static str, level: &'static str) -> Splitter {
        Splitter { stream, level, tail: Vec::new() }
    }

    /// The lines that are whole now; what follows the last newline waits.
    pub(crate) fn push(&mut self, mut bytes: &[u8], lines: &mut Vec<Line>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.tail.extend_from_slice(&bytes[..end]);
            self.cut(lines);
            let line = std::mem::take(&mut self.tail);
            lines.push(self.line(line, true));
            bytes = &bytes[end + 1..];
        }
        self.tail.extend_from_slice(bytes);
        self.cut(lines);
    }

    /// The unterminated rest: the run is over.
    pub(crate) fn finish(&mut self, lines: &mut Vec<Line>) {
        if !self.tail.is_empty() {
            let line = std::mem::take(&mut self.tail);
            lines.push(self.line(line, false));
        }
    }

    fn cut(&mut self, lines: &mut Vec<Line>) {
        while self.tail.len() > MAX_LINE_BYTES {
            let rest = self.tail.split_off(MAX_LINE_BYTES);
            let piece = std::mem::replace(&mut self.tail, rest);
            lines.push(self.line(piece, false));
        }
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
