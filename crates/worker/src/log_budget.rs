//! The limit on the log of one run.

use chrono::Utc;
use rework_core::task::progress::Line;

/// Most bytes of log that one run keeps.
pub(crate) const MAX_LOG_BYTES: u64 = 50 << 20;

/// What a row of the log costs beside its bytes: so that empty lines are bounded too.
const ROW_BYTES: u64 = 16;

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
    use crate::lines::Splitter;

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
