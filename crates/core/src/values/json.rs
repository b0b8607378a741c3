//! JSON as rework accepts it for inputs and metadata, from the command line and from files: [`Json::parse`].
//!
//! `rework.json_fault` (`migrations/V07__task.sql`) is the same rule in the database, for texts up to 1 MiB. A text is
//! stored and passed on as it was written; the value that is parsed here only serves to validate and to compare it.
//! Numbers keep all their digits.

use std::collections::BTreeMap;

use serde_json::{Map, Value, value::RawValue};

use crate::values::number::Number;

/// The largest number of arrays and objects that may contain each other. The JSON parser of the Rust SDK stops at 128.
pub const MAX_DEPTH: usize = 100;

/// A value of JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Json {
    #[default]
    Null,
    Boolean(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    /// The members by their names. If a name occurs more than once, the last member counts.
    Object(BTreeMap<String, Json>),
}

/// Why a text is not accepted, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadJson {
    /// The text does not have the syntax of JSON. The message is the parser's.
    #[error("is not JSON: {0}")]
    Syntax(String),
    /// More than [`MAX_DEPTH`] arrays and objects contain each other.
    #[error("is nested more than {} levels deep", MAX_DEPTH)]
    TooDeep,
    /// A string contains `\ud800` to `\udfff` without the other half of the pair.
    #[error("contains half of a surrogate pair, which is not a character")]
    HalfPair,
}

impl Json {
    /// Parses a text. `Err` if it is not JSON in UTF-8, or if programs could not read it.
    pub fn parse(text: &[u8]) -> Result<Json, BadJson> {
        // A `RawValue` is checked for its syntax, without a limit of the depth, and its numbers are not converted.
        let raw: &RawValue =
            serde_json::from_slice(text).map_err(|error| BadJson::Syntax(error.to_string()))?;
        Reader { text: raw.get(), at: 0 }.value(0)
    }

    /// Returns the value as JSON without spaces, with the numbers as they were written.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, &|number: &Number| number.text().to_owned());
        text
    }

    /// Returns a text that is the same for all texts of this value: without spaces, with sorted names, and with one
    /// notation for numbers of the same value.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, &Number::canonical);
        text
    }

    /// Returns the value for code that needs no exact numbers. A number that no double holds becomes the nearest one.
    pub fn to_value(&self) -> Value {
        match self {
            Json::Null => Value::Null,
            Json::Boolean(truth) => Value::Bool(*truth),
            Json::Number(number) => Value::Number(number.rounded()),
            Json::String(text) => Value::String(text.clone()),
            Json::Array(items) => items.iter().map(Json::to_value).collect(),
            Json::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), value.to_value()));
                Value::Object(members.collect::<Map<String, Value>>())
            }
        }
    }

    /// Appends the value to `text`. `number` writes a number.
    fn write(&self, text: &mut String, number: &impl Fn(&Number) -> String) {
        match self {
            Json::Null => text.push_str("null"),
            Json::Boolean(truth) => text.push_str(if *truth { "true" } else { "false" }),
            Json::Number(value) => text.push_str(&number(value)),
            Json::String(value) => text.push_str(&quoted(value)),
            Json::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    item.write(text, number);
                }
                text.push(']');
            }
            Json::Object(members) => {
                text.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    text.push_str(&quoted(name));
                    text.push(':');
                    value.write(text, number);
                }
                text.push('}');
            }
        }
    }
}

/// Returns a text as a JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Reads values from a text that is known to be JSON. So it does not check the syntax again.
struct Reader<'a> {
    text: &'a str,
    /// The number of bytes that were read.
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads one value, which is within `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> Result<Json, BadJson> {
        match self.peek() {
            b'[' | b'{' if depth >= MAX_DEPTH => Err(BadJson::TooDeep),
            b'[' => self.array(depth + 1),
            b'{' => self.object(depth + 1),
            b'"' => self.string().map(Json::String),
            _ => Ok(match self.word() {
                "null" => Json::Null,
                "true" => Json::Boolean(true),
                "false" => Json::Boolean(false),
                number => Json::Number(Number::new(number)),
            }),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, BadJson> {
        let mut items = Vec::new();
        while !matches!(self.next_after_separator(), b']' | 0) {
            items.push(self.value(depth)?);
        }
        self.at += 1;
        Ok(Json::Array(items))
    }

    fn object(&mut self, depth: usize) -> Result<Json, BadJson> {
        let mut members = BTreeMap::new();
        while !matches!(self.next_after_separator(), b'}' | 0) {
            let name = self.string()?;
            // The colon.
            self.peek();
            self.at += 1;
            members.insert(name, self.value(depth)?);
        }
        self.at += 1;
        Ok(Json::Object(members))
    }

    /// Skips an opening bracket or a comma, and white space around it. Returns the byte that follows; 0 at the end.
    fn next_after_separator(&mut self) -> u8 {
        if matches!(self.peek(), b'[' | b'{' | b',') {
            self.at += 1;
        }
        self.peek()
    }

    /// Reads a string, with its escapes decoded.
    fn string(&mut self) -> Result<String, BadJson> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        self.at += 1;
        while let Some(byte) = bytes.get(self.at).filter(|byte| **byte != b'"') {
            self.at += if *byte == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        // The syntax is known to be right, so only half a pair can be wrong.
        serde_json::from_str(quoted).map_err(|_| BadJson::HalfPair)
    }

    /// Reads a number, `null`, `true` or `false`.
    fn word(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_end = |byte: u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
        let length = rest.bytes().position(is_end).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Skips white space, and returns the byte that follows; 0 at the end.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Result<Json, String> {
        Json::parse(text.as_bytes()).map_err(|bad| bad.to_string())
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = r#" { "a" : [ 1 , -2.50e+3 , "x\"\\\u00e9\ud83d\ude00" , true , false , null , [ ] , { } ] ,
                         "b,]}": {"c":[[]]}, "a2":"","n":0 } "#;
        let value = parsed(text).unwrap();
        assert_eq!(value.to_value(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(
            value.text(),
            r#"{"a":[1,-2.50e+3,"x\"\\é😀",true,false,null,[],{}],"a2":"","b,]}":{"c":[[]]},"n":0}"#
        );
        assert_eq!(value.canonical(), parsed(&value.text()).unwrap().canonical());
        for scalar in ["null", "true", "7", "\"\"", "[]", "{}"] {
            assert_eq!(parsed(scalar).unwrap().text(), scalar);
        }
        assert_eq!(parsed(r#"{"a":1,"a":2}"#).unwrap().to_value(), json!({"a": 2}));
    }

    #[test]
    fn numbers_keep_their_digits() {
        for number in ["12345678901234567.25", "1e400", "-0.10", "123456789012345678901234567890"] {
            assert_eq!(parsed(&format!("[{number}]")).unwrap().text(), format!("[{number}]"));
        }
        assert_eq!(parsed("[1.0, 10e-1]"), parsed("[1, 1]"));
        assert_eq!(parsed("1e400").unwrap().to_value(), json!(f64::MAX));
    }

    #[test]
    fn the_reason_of_a_refusal_is_the_true_one() {
        let deep = |levels: usize| {
            let half = levels / 2;
            format!("{}1{}", "[{\"a\":".repeat(half), "}]".repeat(half))
        };
        let half_pair = "contains half of a surrogate pair, which is not a character";
        assert!(parsed(&deep(100)).is_ok());
        for (text, expected) in [
            (deep(102), "is nested more than 100 levels deep"),
            ("[".repeat(1_000_000) + &"]".repeat(1_000_000), "is nested more than 100 levels deep"),
            (r#""\ud800""#.into(), half_pair),
            (r#"{"\udc00": 1}"#.into(), half_pair),
            ("{".into(), "is not JSON: EOF while parsing an object at line 1 column 1"),
            ("1 2".into(), "is not JSON: trailing characters at line 1 column 3"),
        ] {
            assert_eq!(parsed(&text).unwrap_err(), expected);
        }
        assert!(parsed(r#""\\ud800""#).is_ok(), "an escaped backslash before `ud800`");
        assert!(parsed(&format!("[\"{}\"]", "[".repeat(200))).is_ok(), "brackets in a string");
        assert!(Json::parse(b"\"\xff\"").unwrap_err().to_string().starts_with("is not JSON: "));
    }
}
