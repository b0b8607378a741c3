//! Text from elsewhere, made harmless for a terminal: control characters become visible, so that
//! nothing that a task writes can move the cursor, change colours or set the window's title.

use std::{borrow::Cow, fmt::Write as _};

/// One line: every control character but the tab is written out, newlines too.
pub fn line(text: &str) -> Cow<'_, str> {
    visible(text, |c| c == '\t')
}

/// Several lines: newlines stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    visible(text, |c| c == '\t' || c == '\n')
}

/// A line as it was written, UTF-8 or not.
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

fn visible(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let escaped = |c: char| c.is_control() && !kept(c);
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
    fn control_characters_become_visible() {
        assert_eq!(line("plain\tété"), "plain\tété");
        assert_eq!(line("\x1b]0;owned\x07\r\n"), "\\x1b]0;owned\\x07\\r\\n");
        assert_eq!(line("\u{9b}31m\x7f\0"), "\\x9b31m\\x7f\\x00");
        assert_eq!(lines("a\nb\x08"), "a\nb\\x08");
    }

    #[test]
    fn bytes_that_are_no_text_become_visible() {
        assert_eq!(bytes(b"caf\xe9 \xff\xc3\xa9\x1b[m"), "caf\\xe9 \\xff\u{e9}\\x1b[m");
    }
}
