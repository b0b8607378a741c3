//! [`Source`]: where a value comes from.

use serde::{Deserialize, Deserializer, Serialize};

use crate::json::Json;

/// Where a value comes from. A path has keys of objects and positions in lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "SourceKeys")]
pub enum Source {
    /// A part of the output of a step.
    Step {
        /// The number of the step.
        step: i32,
        /// The path of the part.
        path: Vec<String>,
    },
    /// A part of the value of a controller.
    Scope {
        /// The number of the scope that the controller belongs to.
        scope: i32,
        /// The path of the part.
        path: Vec<String>,
    },
    /// A part of the flow's input.
    Input {
        /// The key in the input.
        input: String,
        /// The path of the part in the value of the key.
        path: Vec<String>,
    },
    /// This value.
    Value {
        /// The value.
        value: Json,
    },
}

/// The keys of all kinds of sources. Serde cannot try one kind after the other, because it would lose the text of a
/// value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceKeys {
    step: Option<i32>,
    scope: Option<i32>,
    input: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    value: Option<Json>,
    #[serde(default)]
    path: Vec<String>,
}

/// Reads a value. Null is a value, too.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl TryFrom<SourceKeys> for Source {
    type Error = &'static str;

    fn try_from(keys: SourceKeys) -> Result<Source, &'static str> {
        match keys {
            SourceKeys { step: Some(step), scope: None, input: None, value: None, path } => {
                Ok(Source::Step { step, path })
            }
            SourceKeys { step: None, scope: Some(scope), input: None, value: None, path } => {
                Ok(Source::Scope { scope, path })
            }
            SourceKeys { step: None, scope: None, input: Some(input), value: None, path } => {
                Ok(Source::Input { input, path })
            }
            SourceKeys { step: None, scope: None, input: None, value: Some(value), .. } => {
                Ok(Source::Value { value })
            }
            _ => Err("a source has one of the keys `step`, `scope`, `input` and `value`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_as_it_was_written() {
        for (text, expected) in [
            (r#"{"step":3,"path":["a","0"]}"#, Source::Step { step: 3, path: path(&["a", "0"]) }),
            (r#"{"scope":0,"path":[]}"#, Source::Scope { scope: 0, path: path(&[]) }),
            (
                r#"{"input":"gib","path":[]}"#,
                Source::Input { input: "gib".to_owned(), path: path(&[]) },
            ),
            (r#"{"value":null}"#, Source::Value { value: serde_json::Value::Null.into() }),
        ] {
            let source: Source = serde_json::from_str(text).unwrap();
            assert_eq!(source, expected);
            assert_eq!(serde_json::to_string(&source).unwrap(), text);
        }
        let digits = r#"{"value":12345678901234567.25}"#;
        let source: Source = serde_json::from_str(digits).unwrap();
        assert_eq!(serde_json::to_string(&source).unwrap(), digits);
    }

    #[test]
    fn a_source_has_one_origin() {
        for text in ["{}", r#"{"step":1,"scope":1}"#, r#"{"input":"a","value":1}"#, r#"{"of":1}"#] {
            assert!(serde_json::from_str::<Source>(text).is_err(), "{text}");
        }
    }

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(ToString::to_string).collect()
    }
}
