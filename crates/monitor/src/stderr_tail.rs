//! The tail of what a worker wrote on stdout and stderr: it explains why a worker crashed.

/// How much is kept: enough for a panic and its first lines.
const KEPT_BYTES: usize = 8 << 10;

/// How many lines the reason of a worker's end quotes.
const TOLD_LINES: usize = 5;

/// The last bytes of a text that is still being written.
#[derive(Debug, Default)]
pub(crate) struct StderrTail(Vec<u8>);

impl StderrTail {
    /// Appends to the text.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if let Some(surplus) = self.0.len().checked_sub(KEPT_BYTES) {
            self.0.drain(..surplus);
        }
    }

    /// The panic, if there was one, else the last lines; empty if nothing was written.
    pub(crate) fn told(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
        let panic = lines.iter().rposition(|line| line.contains("panicked at"));
        let first = panic.unwrap_or(lines.len().saturating_sub(TOLD_LINES));
        let told = lines.iter().skip(first).take_while(|line| !line.starts_with("stack backtrace"));
        told.take(TOLD_LINES).copied().collect::<Vec<_>>().join("\n").replace('\0', "\u{2400}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let mut tail = StderrTail::default();
        tail.push(text.as_bytes());
        tail.told()
    }

    #[test]
    fn a_panic_is_told_without_its_backtrace() {
        let text = "before\nthread 'main' panicked at src/x.rs:1:\noops\nstack backtrace:\n 0: x\n";
        assert_eq!(told(text), "thread 'main' panicked at src/x.rs:1:\noops");
    }

    #[test]
    fn without_a_panic_the_last_lines_are_told() {
        assert_eq!(told(""), "");
        assert_eq!(told("1\n2\n3\n4\n5\n\n6\n"), "2\n3\n4\n5\n6");
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = StderrTail::default();
        for number in 0..10_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        assert!(tail.0.len() <= KEPT_BYTES);
        assert!(tail.told().ends_with("line 9999"));
    }
}
