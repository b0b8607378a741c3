//! The limit on the log of one run.

use chrono::Utc;
use rework_core::task::progress::NewLogLine;

/// The most bytes of log that are kept for one run, as the run wrote them: the bytes of its lines and their newlines.
pub(crate) const MAX_LOG_BYTES: u64 = 50 << 20;

/// The most rows of log that are kept for one run. A row takes about 100 bytes of the database besides the bytes of its
/// line. So 50 MiB of empty lines would take 5 GB, and this number of rows takes 1 GB.
const MAX_LOG_ROWS: u64 = 10_000_000;

/// How much a run may still log, and how much was dropped.
#[derive(Debug)]
pub(crate) struct LogBudget {
    bytes_left: u64,
    rows_left: u64,
    cut_lines: u64,
    cut_bytes: u64,
}

impl Default for LogBudget {
    fn default() -> Self {
        LogBudget { bytes_left: MAX_LOG_BYTES, rows_left: MAX_LOG_ROWS, cut_lines: 0, cut_bytes: 0 }
    }
}

impl LogBudget {
    /// Removes what exceeds the limit, to the byte. Once something was removed, everything after it is removed, too.
    pub(crate) fn keep(&mut self, lines: &mut Vec<NewLogLine>) {
        lines.retain_mut(|line| {
            let written = line.bytes.len() as u64 + u64::from(line.whole);
            let is_cut = self.cut_bytes > 0 || self.rows_left == 0 || written > self.bytes_left;
            if !is_cut {
                self.bytes_left -= written;
                self.rows_left -= 1;
                return true;
            }
            let may_keep = self.cut_bytes == 0 && self.rows_left > 0;
            let kept = if may_keep { self.bytes_left.min(line.bytes.len() as u64) } else { 0 };
            self.bytes_left -= kept;
            self.cut_lines += u64::from(line.whole);
            self.cut_bytes += written - kept;
            line.bytes.truncate(kept as usize);
            line.whole = false;
            kept > 0
        });
    }

    /// Returns a line about how much was dropped; `None` if nothing was.
    pub(crate) fn truncation_notice(&self) -> Option<NewLogLine> {
        (self.cut_bytes > 0).then(|| NewLogLine {
            at: Utc::now(),
            stream: "rework".to_owned(),
            level: "WARNING",
            bytes: format!(
                "the log of a run is limited to {}: {} lines ({} bytes) more were written and not kept",
                self.reached_limit(),
                self.cut_lines,
                self.cut_bytes
            )
            .into_bytes(),
            whole: true,
            continues: false,
        })
    }

    /// Returns the limit that the log has reached, for people.
    fn reached_limit(&self) -> String {
        match self.rows_left {
            0 => format!("{} million lines", MAX_LOG_ROWS / 1_000_000),
            _ => format!("{} MiB", MAX_LOG_BYTES >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line_splitter::LineSplitter;

    /// Returns what a budget keeps of an output, and its notice.
    fn kept(mut budget: LogBudget, output: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut splitter = LineSplitter::new("stdout", "INFO");
        let mut lines = Vec::new();
        splitter.push(output, &mut lines);
        splitter.finish(&mut lines);
        budget.keep(&mut lines);
        let newline = |line: &NewLogLine| if line.whole { "\n" } else { "" };
        let bytes = |line: &NewLogLine| [line.bytes.as_slice(), newline(line).as_bytes()].concat();
        let kept = lines.iter().flat_map(bytes).collect();
        let notice = budget.truncation_notice();
        (kept, notice.map(|line| String::from_utf8(line.bytes).unwrap()))
    }

    #[test]
    fn the_limit_is_the_number_of_bytes_that_the_run_wrote() {
        let budget = |bytes_left| LogBudget { bytes_left, ..LogBudget::default() };
        let output = b"1234\n5678\n\nab\ne";
        assert_eq!(kept(budget(15), output), (output.to_vec(), None));
        for limit in 0..15 {
            let (kept, notice) = kept(budget(limit as u64), output);
            assert_eq!(kept, output[..limit], "limit {limit}");
            let lines = memchr::memchr_iter(b'\n', &output[limit..]).count();
            let cut = format!("50 MiB: {lines} lines ({} bytes) more", 15 - limit);
            assert!(notice.as_ref().unwrap().contains(&cut), "limit {limit}: {notice:?}");
        }
    }

    #[test]
    fn the_number_of_lines_is_limited_too() {
        let budget = LogBudget { rows_left: 2, ..LogBudget::default() };
        let (kept, notice) = kept(budget, b"a\n\n\nbc\n");
        assert_eq!(kept, b"a\n\n");
        assert!(notice.unwrap().contains("10 million lines: 2 lines (4 bytes) more"));
    }

    #[test]
    fn what_is_cut_later_is_counted_too() {
        let mut budget = LogBudget { bytes_left: 3, ..LogBudget::default() };
        let mut splitter = LineSplitter::new("stdout", "INFO");
        for _ in 0..3 {
            let mut lines = Vec::new();
            splitter.push(b"ab\n\n", &mut lines);
            budget.keep(&mut lines);
        }
        let notice = String::from_utf8(budget.truncation_notice().unwrap().bytes).unwrap();
        assert!(notice.contains("50 MiB: 5 lines (9 bytes) more"), "{notice}");
    }
}
