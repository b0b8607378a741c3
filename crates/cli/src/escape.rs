//! Escapes control characters in text that tasks and other programs wrote.
//!
//! Such text could otherwise move the cursor, change colours or set the title of the terminal window.

use std::{borrow::Cow, fmt::Write as _};

/// Escapes every control character except the tab, also newlines. The result is one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escape_controls(text, |c| c == '\t')
}

/// Escapes every control character except the tab and the newline.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape_controls(text, |c| c == '\t' || c == '\n')
}

/// Returns bytes as one line of text. Bytes that are not UTF-8 become `\xNN`.
pub fn bytes(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        text.push_str(&line(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Escapes the control characters for which `keep` is false.
fn escape_controls(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let escaped = |c: char| c.is_control() && !keep(c);
    if !text.contains(escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if !escaped(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(line("plain\tété"), "plain\tété");
        assert_eq!(line("\x1b]0;owned\x07\r\n"), "\\x1b]0;owned\\x07\\r\\n");
        assert_eq!(line("\u{9b}31m\x7f\0"), "\\x9b31m\\x7f\\x00");
        assert_eq!(lines("a\nb\x08"), "a\nb\\x08");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_escaped() {
        assert_eq!(bytes(b"caf\xe9 \xff\xc3\xa9\x1b[m"), "caf\\xe9 \\xff\u{e9}\\x1b[m");
    }
}
