//! [`Json`]: a value that is passed on as its text, so that numbers keep their digits.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A JSON value as its text. Two of them are equal if their texts are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Writes a value as JSON. `Err` if the value has no form in JSON, such as a map whose keys are lists.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Json> {
        to_raw_value(value).map(Json)
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Reads the text. `Err` if it is nested too deep, or contains a number that a [`Value`] cannot hold.
    pub fn value(&self) -> serde_json::Result<Value> {
        serde_json::from_str(self.text())
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        // A `Value` always has a form in JSON.
        Json::new(&value).unwrap_or_else(|_| Json(RawValue::NULL.to_owned()))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"[12345678901234567.25,1e400,{"a":-0.10},12345678901234567890123]"#;
        let values: Vec<Json> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&values).unwrap(), text);
        assert_eq!(values[0].text(), "12345678901234567.25");
        assert!(values[1].value().is_err());
        assert_eq!(values[2].value().unwrap(), json!({"a": -0.1}));
    }

    #[test]
    fn a_value_becomes_its_text() {
        assert_eq!(
            Json::from(json!({"b": [1, null], "a": "x"})).text(),
            r#"{"a":"x","b":[1,null]}"#
        );
        assert_eq!(Json::new(&[1.5, 2.0]).unwrap(), Json::from(json!([1.5, 2.0])));
        let null: Option<Json> = serde_json::from_str("null").unwrap();
        assert_eq!(null, None);
    }
}
