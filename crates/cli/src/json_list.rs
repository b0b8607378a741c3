//! A list in JSON, printed item by item: an array with `-o json`, a line each with `-o jsonl`.

use serde::Serialize;

use crate::{options::Format, output};

/// A list under way.
#[derive(Debug)]
#[must_use = "an array must be ended"]
pub struct JsonList {
    format: Format,
    begun: bool,
}

impl JsonList {
    pub(crate) fn begin(format: Format) -> anyhow::Result<JsonList> {
        if format == Format::Json {
            output::write(b"[")?;
        }
        Ok(JsonList { format, begun: false })
    }

    /// Prints an item.
    pub fn item<T: Serialize>(&mut self, item: &T) -> anyhow::Result<()> {
        if self.format == Format::Json {
            let before = if std::mem::replace(&mut self.begun, true) { ",\n" } else { "\n" };
            let text = serde_json::to_string_pretty(item)?;
            return output::write(format!("{before}{text}").as_bytes());
        }
        output::print(on_one_line(item)?)
    }

    pub fn end(self) -> anyhow::Result<()> {
        match (self.format, self.begun) {
            (Format::Json, true) => output::write(b"\n]\n"),
            (Format::Json, false) => output::write(b"]\n"),
            _ => Ok(()),
        }
    }
}

/// JSON that is kept as it was given may hold line breaks. They are never inside of its strings,
/// where JSON wants them escaped, so a blank means the same.
pub(crate) fn on_one_line<T: Serialize>(item: &T) -> anyhow::Result<String> {
    let text = serde_json::to_string(item)?;
    Ok(if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn raw_json_with_line_breaks_stays_on_its_line() {
        let raw: Box<RawValue> = serde_json::from_str("{\"a\":\r\n  \"x\\ny\"}").unwrap();
        assert_eq!(on_one_line(&raw).unwrap(), "{\"a\":    \"x\\ny\"}");
    }
}
