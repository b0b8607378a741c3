//! The last part of the output of a worker, on stdout and stderr. It explains why a worker crashed.

/// How many bytes are kept. They are enough for the message of a panic and the first lines of its backtrace.
const KEPT_BYTES: usize = 8 << 10;

/// How many lines the recorded reason of a worker's end quotes.
const QUOTED_LINES: usize = 5;

/// The last bytes of an output that is still being written.
#[derive(Debug, Default)]
pub(crate) struct OutputTail(Vec<u8>);

impl OutputTail {
    /// Appends output, and drops the oldest bytes beyond [`KEPT_BYTES`].
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if let Some(surplus) = self.0.len().checked_sub(KEPT_BYTES) {
            self.0.drain(..surplus);
        }
    }

    /// Returns the message of a panic without its backtrace. Without a panic, returns the last lines. Empty if nothing
    /// was written.
    pub(crate) fn summary(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
        let panic = lines.iter().rposition(|line| line.contains("panicked at"));
        let first = panic.unwrap_or(lines.len().saturating_sub(QUOTED_LINES));
        let quoted =
            lines.iter().skip(first).take_while(|line| !line.starts_with("stack backtrace"));
        let quoted: Vec<&str> = quoted.take(QUOTED_LINES).copied().collect();
        // Postgres does not store NUL in a text.
        quoted.join("\n").replace('\0', "\u{2400}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(text: &str) -> String {
        let mut tail = OutputTail::default();
        tail.push(text.as_bytes());
        tail.summary()
    }

    #[test]
    fn the_summary_of_a_panic_has_no_backtrace() {
        let text = "before\nthread 'main' panicked at src/x.rs:1:\noops\nstack backtrace:\n 0: x\n";
        assert_eq!(summary(text), "thread 'main' panicked at src/x.rs:1:\noops");
    }

    #[test]
    fn without_a_panic_the_summary_has_the_last_lines() {
        assert_eq!(summary(""), "");
        assert_eq!(summary("1\n2\n3\n4\n5\n\n6\n"), "2\n3\n4\n5\n6");
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = OutputTail::default();
        for number in 0..10_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        assert!(tail.0.len() <= KEPT_BYTES);
        assert!(tail.summary().ends_with("line 9999"));
    }
}
