//! What operations of the Python `rework` declare of their inputs and outputs, and the JSON Schema that
//! `python/rework/io_schema.py` makes of the same declaration: a module that is registered later changes nothing.
//! What does not fit one is told as Python tells it.

mod fault;
mod repr;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value, json};

pub use self::fault::fault;

/// Where the schema has the declaration that it was made of.
const SPECS_KEY: &str = "x-rework-io";

/// One named input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Unique in its operation.
    pub name: String,
    /// The type of its value.
    pub kind: Kind,
    required: bool,
    choices: Option<Vec<Value>>,
    default: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    String,
    /// An integer or a floating point number.
    Number,
    /// True or false.
    Boolean,
    /// A date and a time of day, without a zone.
    Datetime,
    /// A moment expression, such as `(shifted (today) #:days -1)`.
    Moment,
    /// The content of a file.
    File,
}

impl Kind {
    const TABLE: [(Kind, &'static str); 6] = [
        (Kind::String, "string"),
        (Kind::Number, "number"),
        (Kind::Boolean, "boolean"),
        (Kind::Datetime, "datetime"),
        (Kind::Moment, "moment"),
        (Kind::File, "file"),
    ];

    fn parse(word: &str) -> Option<Kind> {
        Kind::TABLE.iter().find(|(_, name)| *name == word).map(|(kind, _)| *kind)
    }

    fn as_str(self) -> &'static str {
        Kind::TABLE.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// What a schema says of it, beside its name.
    fn schema(self) -> Map<String, Value> {
        let schema = match self {
            Kind::String | Kind::Number | Kind::Boolean => json!({ "type": self.as_str() }),
            Kind::Datetime => json!({
                "type": "string", "format": "date-time", "x-rework-type": "datetime",
            }),
            Kind::Moment => json!({
                "type": "string",
                "description": "a moment expression, such as (shifted (today) #:days -1)",
                "x-rework-type": "moment",
            }),
            Kind::File => json!({
                "type": "string", "contentEncoding": "base64", "x-rework-type": "file",
            }),
        };
        schema.as_object().cloned().unwrap_or_default()
    }

    /// A choice or default as the values themselves are kept.
    fn stored(self, value: &Value) -> Value {
        match (self, value) {
            (Kind::Datetime, Value::String(text)) => isoformat(text).into(),
            (Kind::Boolean, Value::Number(number)) => (number.as_i64() != Some(0)).into(),
            _ => value.clone(),
        }
    }
}

impl Spec {
    /// Reads a declaration; an error says what it is instead.
    pub fn all(declared: &Value) -> Result<Vec<Spec>, String> {
        let list = declared.as_array().ok_or_else(|| format!("not a list, but {declared}"))?;
        list.iter().map(Spec::read).collect()
    }

    fn read(declared: &Value) -> Result<Spec, String> {
        let word = |key: &str| declared.get(key).and_then(Value::as_str);
        let name = word("name").ok_or_else(|| format!("without a name: {declared}"))?;
        let kind = word("type").and_then(Kind::parse);
        let kind = kind.ok_or_else(|| format!("of no known type: {declared}"))?;
        let given = |key: &str| declared.get(key).filter(|value| !value.is_null());
        let choices = given("choices").and_then(Value::as_array).filter(|list| !list.is_empty());
        Ok(Spec {
            name: name.to_owned(),
            kind,
            required: given("required").and_then(Value::as_bool).unwrap_or(false),
            choices: choices.map(|list| list.iter().map(|one| kind.stored(one)).collect()),
            default: given("default").map(|default| kind.stored(default)),
        })
    }

    /// The JSON Schema of an object of them all.
    pub fn schema(specs: &[Spec]) -> Value {
        let properties: Map<String, Value> =
            specs.iter().map(|spec| (spec.name.clone(), spec.property())).collect();
        // One with a default may be left out: it is filled in when it is read.
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
        let mut property = self.kind.schema();
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
            "type": self.kind.as_str(),
            "required": self.required,
            "choices": self.choices,
            "default": self.default,
        })
    }
}

/// A time as Python's `isoformat` writes it, which is how values are packed; what is written otherwise stays so.
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
    fn a_declaration_becomes_the_schema_that_python_makes_of_it() {
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
    fn what_is_no_declaration_is_named() {
        for (declared, words) in [
            (json!({}), "not a list, but {}"),
            (json!([1]), "without a name: 1"),
            (json!([{ "name": "x", "type": "list" }]), "of no known type: "),
        ] {
            assert!(Spec::all(&declared).unwrap_err().starts_with(words), "{declared}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_packed() {
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
