//! The limit on the log of one run.

use chrono::Utc;
use rework_core::task::progress::NewLogLine;

/// The most bytes of log that are kept for one run.
pub(crate) const MAX_LOG_BYTES: u64 = 50 << 20;

/// The cost of a log line besides its bytes, so that the number of empty lines is limited, too.
const ROW_OVERHEAD_BYTES: u64 = 16;

/// How many bytes a run may still log, and how many lines were dropped.
#[derive(Debug)]
pub(crate) struct LogBudget {
    bytes_left: u64,
    cut_lines: u64,
    cut_bytes: u64,
}

impl Default for LogBudget {
    fn default() -> Self {
        LogBudget { bytes_left: MAX_LOG_BYTES, cut_lines: 0, cut_bytes: 0 }
    }
}

impl LogBudget {
    /// Removes the lines that exceed the limit. After the first one that is removed, all others are removed, too.
    pub(crate) fn keep(&mut self, lines: &mut Vec<NewLogLine>) {
        lines.retain(|line| {
            let bytes = line.bytes.len() as u64;
            let cost = bytes + ROW_OVERHEAD_BYTES;
            if self.cut_bytes == 0 && cost <= self.bytes_left {
                self.bytes_left -= cost;
                return true;
            }
            self.cut_lines += u64::from(line.whole);
            self.cut_bytes += bytes + u64::from(line.whole);
            false
        });
    }

    /// Returns a line about how much was dropped; `None` if nothing was.
    pub(crate) fn truncation_notice(&self) -> Option<NewLogLine> {
        (self.cut_bytes > 0).then(|| NewLogLine {
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
    use crate::line_splitter::LineSplitter;

    #[test]
    fn lines_past_the_limit_are_counted_and_dropped() {
        let mut budget = LogBudget { bytes_left: 40, ..LogBudget::default() };
        let mut splitter = LineSplitter::new("stdout", "INFO");
        let mut lines = Vec::new();
        splitter.push(b"1234\n5678\nabcd\ne\n", &mut lines);
        budget.keep(&mut lines);
        assert_eq!(lines.len(), 2);
        let notice = String::from_utf8(budget.truncation_notice().unwrap().bytes).unwrap();
        assert!(notice.contains("2 lines (7 bytes)"), "{notice}");
        assert!(LogBudget::default().truncation_notice().is_none());
    }
}
