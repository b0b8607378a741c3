//! Escapes control characters and invisible characters in text that tasks and other programs wrote.
//!
//! Such text could otherwise move the cursor, change colours or set the title of the terminal window. Characters that
//! nobody sees, or that change the direction of the text, could make it look like another text.

use std::{borrow::Cow, fmt::Write as _};

use rework_core::values::name::is_invisible;

/// Escapes every control and invisible character except the tab, also newlines. The result is one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escape_invisible(text, |c| c == '\t')
}

/// Escapes every control and invisible character except the tab and the newline.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape_invisible(text, |c| c == '\t' || c == '\n')
}

/// Returns bytes that a task wrote as one line of text. Bytes that are not UTF-8 become `\xNN`. The joiners and
/// variation selectors stay, because emojis and several scripts need them.
pub fn bytes(raw: &[u8]) -> String {
    let keep = |c: char| matches!(c, '\t' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
    let mut text = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        text.push_str(&escape_invisible(chunk.valid(), keep));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Escapes the control and invisible characters for which `keep` is false.
fn escape_invisible(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let escaped = |c: char| is_invisible(c) && !keep(c);
    if !text.contains(escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if !escaped(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) > 0xff => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
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
    fn characters_that_nobody_sees_are_escaped() {
        assert_eq!(line("re\u{200b}size \u{202e}x\u{2066}"), "re\\u{200b}size \\u{202e}x\\u{2066}");
        assert_eq!(line("soft\u{ad}hyphen"), "soft\\xadhyphen");
        assert_eq!(bytes("\u{202e}🏳\u{fe0f}\u{200d}🌈".as_bytes()), "\\u{202e}🏳\u{fe0f}\u{200d}🌈");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_escaped() {
        assert_eq!(bytes(b"caf\xe9 \xff\xc3\xa9\x1b[m"), "caf\\xe9 \\xff\u{e9}\\x1b[m");
    }
}
