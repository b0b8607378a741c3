//! Formats values as Python's `repr` does, for messages that are the same in Rust and Python.

use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};
use serde_json::{Number, Value};

/// Number of characters of a value that a message shows. Python's client cuts values at the same length.
const MAX_CHARS: usize = 200;

/// Returns the `repr` of a value, cut after [`MAX_CHARS`] characters.
pub(super) fn shortened(value: &Value) -> String {
    let mut text = String::new();
    // A character has at most four bytes. Text beyond this number of bytes would be cut anyway.
    write(&mut text, value, 4 * MAX_CHARS);
    if let Some((end, _)) = text.char_indices().nth(MAX_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Returns the complete `repr` of a value.
pub(super) fn full(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, usize::MAX);
    text
}

/// Returns the `repr` of a `bytes` object.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let quote = quote(bytes);
    let mut text = format!("b{quote}");
    for &byte in bytes {
        match char::from(byte) {
            char if char == quote || matches!(char, '\\' | '\n' | '\r' | '\t') => {
                escape(&mut text, char);
            }
            char if matches!(char, ' '..='~') => text.push(char),
            char => escape(&mut text, char),
        }
    }
    text.push(quote);
    text
}

/// Returns the `repr` of a `datetime`. `offset` is its distance from UTC in seconds, positive to the east; `None`
/// without a zone.
pub(super) fn time(local: NaiveDateTime, offset: Option<i32>) -> String {
    let mut parts = vec![local.year().to_string()];
    let micros = local.nanosecond() / 1000;
    parts.extend([local.month(), local.day(), local.hour(), local.minute()].map(|n| n.to_string()));
    if local.second() != 0 || micros != 0 {
        parts.push(local.second().to_string());
    }
    if micros != 0 {
        parts.push(micros.to_string());
    }
    match offset {
        None => {}
        Some(0) => parts.push("tzinfo=datetime.timezone.utc".to_owned()),
        Some(seconds) => {
            let days = if seconds < 0 { "days=-1, " } else { "" };
            let seconds = seconds.rem_euclid(24 * 60 * 60);
            let delta = format!("datetime.timedelta({days}seconds={seconds})");
            parts.push(format!("tzinfo=datetime.timezone({delta})"));
        }
    }
    format!("datetime.datetime({})", parts.join(", "))
}

/// Appends the `repr` of a value to `text`. Stops soon after `text` is longer than `max_bytes`.
fn write(text: &mut String, value: &Value, max_bytes: usize) {
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(true) => text.push_str("True"),
        Value::Bool(false) => text.push_str("False"),
        Value::Number(number) => text.push_str(&self::number(number)),
        Value::String(string) => self::string(text, string, max_bytes),
        Value::Array(items) => {
            let item = |text: &mut String, item| write(text, item, max_bytes);
            list(text, "[]", max_bytes, items.iter(), item);
        }
        Value::Object(items) => list(text, "{}", max_bytes, items.iter(), |text, (key, item)| {
            string(text, key, max_bytes);
            text.push_str(": ");
            write(text, item, max_bytes);
        }),
    }
}

fn list<T>(
    text: &mut String,
    brackets: &str,
    max_bytes: usize,
    items: impl Iterator<Item = T>,
    one: impl Fn(&mut String, T),
) {
    let (open, close) = brackets.split_at(1);
    text.push_str(open);
    for (index, item) in items.enumerate() {
        if text.len() > max_bytes {
            return;
        }
        if index > 0 {
            text.push_str(", ");
        }
        one(text, item);
    }
    text.push_str(close);
}

fn string(text: &mut String, string: &str, max_bytes: usize) {
    let quote = quote(string.as_bytes());
    text.push(quote);
    for char in string.chars() {
        if text.len() > max_bytes {
            return;
        }
        if char == quote || char == '\\' || !is_printable(char) {
            escape(text, char);
        } else {
            text.push(char);
        }
    }
    text.push(quote);
}

/// Returns the quote that Python chooses: `"` if the text contains `'` and no `"`, otherwise `'`.
fn quote(text: &[u8]) -> char {
    if text.contains(&b'\'') && !text.contains(&b'"') { '"' } else { '\'' }
}

fn is_printable(char: char) -> bool {
    if char.is_ascii() {
        return matches!(char, ' '..='~');
    }
    // Rust escapes a combining character at the start of a text, Python nowhere. So a letter is put before it.
    let mut text = ['x', char].iter().collect::<String>();
    text = text.escape_debug().collect();
    !text.starts_with(r"x\")
}

fn escape(text: &mut String, char: char) {
    let written = match (char, u32::from(char)) {
        ('\n', _) => write!(text, "\\n"),
        ('\r', _) => write!(text, "\\r"),
        ('\t', _) => write!(text, "\\t"),
        ('\\' | '\'' | '"', _) => write!(text, "\\{char}"),
        (_, code @ ..=0xff) => write!(text, "\\x{code:02x}"),
        (_, code @ ..=0xffff) => write!(text, "\\u{code:04x}"),
        (_, code) => write!(text, "\\U{code:08x}"),
    };
    // Writing to a `String` cannot fail.
    written.unwrap_or_default();
}

fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => self::float(float),
        _ => number.to_string(),
    }
}

/// Formats a float with the fewest digits that identify it. Like Python, it uses an exponent below 1e-4 and from 1e16.
fn float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => {
            let plain = float.to_string();
            if plain.contains('.') { plain } else { plain + ".0" }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_formatted_as_in_python() {
        for (value, expected) in [
            (json!(null), "None"),
            (json!([true, false, -3]), "[True, False, -3]"),
            (json!({ "a": [], "b": {} }), "{'a': [], 'b': {}}"),
            (json!("it's"), r#""it's""#),
            (json!("it's \"x\""), r#"'it\'s "x"'"#),
            (json!("\\ \n\r\t\0\u{7f}\u{a0}é"), r"'\\ \n\r\t\x00\x7f\xa0é'"),
            (json!("e\u{301}\u{200b}😀\u{e0001}"), "'e\u{301}\\u200b😀\\U000e0001'"),
            (json!(1.0), "1.0"),
            (json!(0.1), "0.1"),
            (json!(1e15), "1000000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(-1.5e-7), "-1.5e-07"),
            (json!(0.0001), "0.0001"),
            (json!(1e300), "1e+300"),
        ] {
            assert_eq!(shortened(&value), expected);
            assert_eq!(full(&value), expected);
        }
    }

    #[test]
    fn long_values_are_cut() {
        for value in [json!("é".repeat(5000)), json!(vec![1; 5000])] {
            let text = shortened(&value);
            assert_eq!(text.chars().count(), MAX_CHARS + 1);
            assert!(full(&value).starts_with(text.trim_end_matches('…')));
            assert!(text.ends_with('…'));
        }
        assert_eq!(shortened(&json!("x".repeat(198))).chars().count(), MAX_CHARS);
    }

    #[test]
    fn bytes_and_times_are_formatted_as_in_python() {
        assert_eq!(bytes(b"it's \\ \n\xff"), r#"b"it's \\ \n\xff""#);
        let at = |text| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").unwrap();
        for (text, offset, expected) in [
            ("2024-02-03T00:00:00", None, "2024, 2, 3, 0, 0"),
            ("2024-02-03T04:05:06", Some(0), "2024, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc"),
            ("2024-02-03T04:05:00.5", None, "2024, 2, 3, 4, 5, 0, 500000"),
            (
                "2024-02-03T04:05:00",
                Some(-3600),
                "2024, 2, 3, 4, 5, \
                 tzinfo=datetime.timezone(datetime.timedelta(days=-1, seconds=82800))",
            ),
        ] {
            assert_eq!(time(at(text), offset), format!("datetime.datetime({expected})"));
        }
    }
}
