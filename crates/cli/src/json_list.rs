//! Prints a list as JSON, item by item: one array with `-o json`, one line per item with `-o jsonl`.

use serde::Serialize;

use crate::{options::Format, output};

/// A list that is printed item by item: as a JSON array, or as one line of JSON per item.
#[derive(Debug)]
#[must_use = "an array must be closed with `finish`"]
pub struct JsonList {
    format: Format,
    has_items: bool,
}

impl JsonList {
    /// Starts a list. Prints `[` with `-o json`, and nothing with `-o jsonl`.
    pub(crate) fn start(format: Format) -> anyhow::Result<JsonList> {
        if format == Format::Json {
            output::write(b"[")?;
        }
        Ok(JsonList { format, has_items: false })
    }

    /// Prints one item.
    pub fn item<T: Serialize>(&mut self, item: &T) -> anyhow::Result<()> {
        if self.format == Format::Json {
            let separator = if std::mem::replace(&mut self.has_items, true) { ",\n" } else { "\n" };
            let text = serde_json::to_string_pretty(item)?;
            return output::write(format!("{separator}{text}").as_bytes());
        }
        output::print(on_one_line(item)?)
    }

    /// Ends the list. Prints `]` with `-o json`, and nothing with `-o jsonl`.
    pub fn finish(self) -> anyhow::Result<()> {
        match (self.format, self.has_items) {
            (Format::Json, true) => output::write(b"\n]\n"),
            (Format::Json, false) => output::write(b"]\n"),
            _ => Ok(()),
        }
    }
}

/// Serialises a value as JSON on one line.
///
/// A part that is stored as raw JSON text may contain line breaks. Inside strings JSON requires them to be escaped, so
/// every line break is outside of strings and can be replaced with a space.
pub(crate) fn on_one_line<T: Serialize>(item: &T) -> anyhow::Result<String> {
    let text = serde_json::to_string(item)?;
    Ok(if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn raw_json_with_line_breaks_is_printed_on_one_line() {
        let raw: Box<RawValue> = serde_json::from_str("{\"a\":\r\n  \"x\\ny\"}").unwrap();
        assert_eq!(on_one_line(&raw).unwrap(), "{\"a\":    \"x\\ny\"}");
    }
}
