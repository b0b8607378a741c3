//! Reads the input and output declarations (specs) of the Python `rework` 0.17, and converts them to JSON Schemas.
//!
//! `rework import-from` uses this for the operations of an old database. The schema is the one that
//! `python/rework/io_schema.py` creates from the same declaration, so that registering the Python module later does not
//! change it. `io_specs/violation.rs` describes invalid inputs with the same messages as Python.

mod violation;
mod repr;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value, json};

pub use self::violation::first_violation;

/// The key of the JSON Schema that contains the specs from which the schema was created.
const SPECS_KEY: &str = "x-rework-io";

/// The declaration of one named input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The name, unique among the inputs (or outputs) of an operation.
    pub name: String,
    pub value_type: ValueType,
    required: bool,
    choices: Option<Vec<Value>>,
    default: Option<Value>,
}

/// The type of an input or output. The names are those of `rework.io` in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    String,
    /// An integer or a floating-point number.
    Number,
    Boolean,
    /// A date with a time of day. It may have a time zone.
    Datetime,
    /// A moment expression, such as `(shifted (today) #:days -1)`.
    Moment,
    /// The content of a file: base64 in JSON.
    File,
}

impl ValueType {
    const TABLE: [(ValueType, &'static str); 6] = [
        (ValueType::String, "string"),
        (ValueType::Number, "number"),
        (ValueType::Boolean, "boolean"),
        (ValueType::Datetime, "datetime"),
        (ValueType::Moment, "moment"),
        (ValueType::File, "file"),
    ];

    fn parse(name: &str) -> Option<ValueType> {
        ValueType::TABLE.iter().find(|(_, known)| *known == name).map(|(value_type, _)| *value_type)
    }

    fn as_str(self) -> &'static str {
        ValueType::TABLE
            .iter()
            .find(|(value_type, _)| *value_type == self)
            .map_or("", |(_, name)| name)
    }

    /// Returns the JSON Schema of a value of this type, without choices and default.
    fn schema(self) -> Map<String, Value> {
        let schema = match self {
            ValueType::String | ValueType::Number | ValueType::Boolean => {
                json!({ "type": self.as_str() })
            }
            ValueType::Datetime => json!({
                "type": "string", "format": "date-time", "x-rework-type": "datetime",
            }),
            ValueType::Moment => json!({
                "type": "string",
                "description": "a moment expression, such as (shifted (today) #:days -1)",
                "x-rework-type": "moment",
            }),
            ValueType::File => json!({
                "type": "string", "contentEncoding": "base64", "x-rework-type": "file",
            }),
        };
        schema.as_object().cloned().unwrap_or_default()
    }

    /// Converts a declared choice or default to the form in which values of this type are stored.
    fn stored(self, value: &Value) -> Value {
        match (self, value) {
            (ValueType::Datetime, Value::String(text)) => isoformat(text).into(),
            (ValueType::Boolean, Value::Number(number)) => (number.as_i64() != Some(0)).into(),
            _ => value.clone(),
        }
    }
}

impl Spec {
    /// Reads the declarations of all inputs (or outputs) of an operation, a JSON array.
    ///
    /// # Errors
    ///
    /// `Err` if the JSON is not a list of declarations. The text completes a phrase such as `its inputs are …`.
    pub fn all(declared: &Value) -> Result<Vec<Spec>, String> {
        let list = declared.as_array().ok_or_else(|| format!("not a list, but {declared}"))?;
        list.iter().map(Spec::read).collect()
    }

    fn read(declared: &Value) -> Result<Spec, String> {
        let text = |key: &str| declared.get(key).and_then(Value::as_str);
        let name = text("name").ok_or_else(|| format!("without a name: {declared}"))?;
        let value_type = text("type").and_then(ValueType::parse);
        let value_type = value_type.ok_or_else(|| format!("of no known type: {declared}"))?;
        let given = |key: &str| declared.get(key).filter(|value| !value.is_null());
        let choices = given("choices").and_then(Value::as_array).filter(|list| !list.is_empty());
        Ok(Spec {
            name: name.to_owned(),
            value_type,
            required: given("required").and_then(Value::as_bool).unwrap_or(false),
            choices: choices.map(|list| list.iter().map(|one| value_type.stored(one)).collect()),
            default: given("default").map(|default| value_type.stored(default)),
        })
    }

    /// Returns the JSON Schema of an object with these inputs (or outputs).
    pub fn schema(specs: &[Spec]) -> Value {
        let properties: Map<String, Value> =
            specs.iter().map(|spec| (spec.name.clone(), spec.property())).collect();
        // An input with a default may be left out: the default is filled in when the input is read.
        let required = specs.iter().filter(|spec| spec.required && spec.default.is_none());
        let required: Vec<&str> = required.map(|spec| spec.name.as_str()).collect();
        let specs: Vec<Value> = specs.iter().map(Spec::to_json).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
            SPECS_KEY: specs,
        })
    }

    fn property(&self) -> Value {
        let mut property = self.value_type.schema();
        if let Some(choices) = &self.choices {
            property.insert("enum".to_owned(), choices.clone().into());
        }
        if let Some(default) = &self.default {
            property.insert("default".to_owned(), default.clone());
        }
        property.into()
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.value_type.as_str(),
            "required": self.required,
            "choices": self.choices,
            "default": self.default,
        })
    }
}

/// Rewrites a time in the form of Python's `isoformat`, in which values are packed. Returns other texts unchanged.
fn isoformat(text: &str) -> String {
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let time = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or_else(day);
    if let Some(time) = time {
        let micros = if time.and_utc().timestamp_subsec_micros() == 0 { "" } else { "%.6f" };
        return time.format(&format!("%Y-%m-%dT%H:%M:%S{micros}")).to_string();
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(_) => text.replace(' ', "T").replace(['z', 'Z'], "+00:00"),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_gives_the_same_schema_as_in_python() {
        let declared = json!([
            { "name": "photo", "type": "file", "required": true, "choices": null, "default": null },
            { "name": "width", "type": "number", "required": true, "choices": null, "default": 300 },
            { "name": "form", "type": "string", "required": false, "choices": ["png", "gif"] },
            { "name": "taken", "type": "datetime", "required": false, "choices": [],
              "default": "1973-5-20" },
            { "name": "until", "type": "moment", "required": false, "default": "(today)" },
            { "name": "grey", "type": "boolean", "required": false, "default": 1 },
        ]);
        let schema = Spec::schema(&Spec::all(&declared).unwrap());
        assert_eq!(schema["required"], json!(["photo"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(
            schema["properties"],
            json!({
                "photo": { "type": "string", "contentEncoding": "base64", "x-rework-type": "file" },
                "width": { "type": "number", "default": 300 },
                "form": { "type": "string", "enum": ["png", "gif"] },
                "taken": { "type": "string", "format": "date-time", "x-rework-type": "datetime",
                           "default": "1973-05-20T00:00:00" },
                "until": { "type": "string", "x-rework-type": "moment", "default": "(today)",
                           "description": "a moment expression, such as (shifted (today) #:days -1)" },
                "grey": { "type": "boolean", "default": true },
            })
        );
        assert_eq!(
            schema["x-rework-io"][1],
            json!({ "name": "width", "type": "number", "required": true, "choices": null,
                    "default": 300 })
        );
        assert_eq!(Spec::schema(&[])["properties"], json!({}));
        crate::values::validate::Schema::compile(&schema).unwrap();
    }

    #[test]
    fn an_invalid_declaration_is_an_error() {
        for (declared, message) in [
            (json!({}), "not a list, but {}"),
            (json!([1]), "without a name: 1"),
            (json!([{ "name": "x", "type": "list" }]), "of no known type: "),
        ] {
            assert!(Spec::all(&declared).unwrap_err().starts_with(message), "{declared}");
        }
    }

    #[test]
    fn times_are_rewritten_in_iso_format() {
        for (given, packed) in [
            ("1973-5-20", "1973-05-20T00:00:00"),
            ("1973-05-20 09:00", "1973-05-20T09:00:00"),
            ("1973-05-20T09:00:01.5", "1973-05-20T09:00:01.500000"),
            ("1973-05-20T09:00:00Z", "1973-05-20T09:00:00+00:00"),
            ("1973-05-20T09:00:00+02:00", "1973-05-20T09:00:00+02:00"),
            ("20 May 1973", "20 May 1973"),
        ] {
            assert_eq!(isoformat(given), packed);
        }
    }
}
