//! Renders the values of a task as text for people: its input and output, its progress and its error.

use std::fmt::Write as _;

use rework_core::task::payload::Payload;
use serde_json::{Value, value::RawValue};

use crate::escape;

/// The maximum number of characters of an input or output that are shown: a few lines of a terminal.
const MAX_SHOWN_CHARS: usize = 300;

/// Returns an input or an output. `None` if there is none.
pub(crate) fn payload(payload: &Payload) -> Option<String> {
    match payload {
        Payload::None => None,
        Payload::Json(text) => Some(shortened(text)),
        Payload::Bytes(bytes) => Some(format!("{} bytes", bytes.len())),
    }
}

/// Returns a text, cut after [`MAX_SHOWN_CHARS`] characters.
pub(crate) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        let _ = write!(shown, "… ({} bytes)", text.len());
    }
    shown
}

/// Returns the progress that a run reported, for example `3 of 7: resizing`. `None` if it has no number.
pub(crate) fn progress(json: &RawValue) -> Option<String> {
    let value: Value = serde_json::from_str(json.get()).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    let done = number("done")?;
    let of = number("total").map(|total| format!(" of {total}")).unwrap_or_default();
    let message = value.get("message").and_then(Value::as_str);
    Some(format!("{done}{of}{}", message.map(|text| format!(": {text}")).unwrap_or_default()))
}

/// Returns the message of an error, with its kind. `None` if it is not JSON.
pub(crate) fn error_message(json: &RawValue) -> Option<String> {
    let value: Value = serde_json::from_str(json.get()).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(match text("kind") {
        "" | "error" => text("message").to_owned(),
        // Some languages already put the kind of the error at the start of the message.
        kind if text("message").starts_with(kind) => text("message").to_owned(),
        kind => format!("{kind}: {}", text("message")),
    })
}

/// Returns the traceback in an error that a run reported as JSON. `None` if the error has no traceback.
pub(crate) fn traceback(error: &str) -> Option<String> {
    let error: Value = serde_json::from_str(error).ok()?;
    let text = error.get("traceback")?.as_str()?.trim_end();
    (!text.is_empty()).then(|| format!("{}\n", escape::lines(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shortened() {
        let text = "é".repeat(400);
        assert_eq!(shortened(&text), format!("{}… (800 bytes)", "é".repeat(300)));
    }

    #[test]
    fn the_traceback_of_an_error_is_found() {
        let error = r#"{"kind": "error", "message": "oops", "traceback": "a\n  b\u001b[m\n"}"#;
        assert_eq!(traceback(error).as_deref(), Some("a\n  b\\x1b[m\n"));
        assert_eq!(traceback(r#"{"kind": "error", "traceback": null}"#), None);
        assert_eq!(traceback(r#"{"kind": "error", "traceback": ""}"#), None);
    }
}
