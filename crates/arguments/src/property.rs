//! Reads the properties of an object from a JSON Schema: their names, and the values that they accept.
//!
//! Schemas come from `schemars`, from pydantic, or from people. They contain references into `$defs`, alternatives
//! (`anyOf`, `oneOf`), lists of types and enumerations. A schema that this file does not understand accepts any JSON;
//! the caller validates the input against the whole schema.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// The largest depth of references and alternatives that is followed. A schema may refer to itself, so a limit is
/// needed. Names and types of real inputs are less deep.
const MAX_DEPTH: usize = 12;

/// A property of the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
    pub(super) required: bool,
}

impl Property<'_> {
    /// Returns the values that the property accepts. References in its schema are resolved in `root`.
    pub(super) fn accepts(&self, root: &Value) -> Accepts {
        accepts(root, self.schema)
    }

    /// Returns whether the property is bytes, written in base64.
    pub(super) fn is_base64(&self, root: &Value) -> bool {
        self.text(root, "contentEncoding").as_deref() == Some("base64")
    }

    /// Returns the text under `key` in the schema of the property, or else in the definition that
    /// this schema refers to. `None` if neither has such a text.
    pub(super) fn text(&self, root: &Value, key: &str) -> Option<String> {
        [self.schema, resolved(root, self.schema)]
            .iter()
            .find_map(|schema| schema.get(key).and_then(Value::as_str))
            .map(str::to_owned)
    }
}

/// Returns the properties of an object, including those of its alternatives.
pub(super) fn properties(root: &Value) -> Vec<Property<'_>> {
    let mut found = Vec::new();
    collect_properties(root, root, true, MAX_DEPTH, &mut found);
    found
}

/// Returns the property `name` of an object that allows further properties.
///
/// `None` if it does not. It does if `additionalProperties` is a schema, or if the schema accepts any JSON.
pub(super) fn additional<'a>(root: &'a Value, name: &'a str) -> Option<Property<'a>> {
    static ANYTHING: Value = Value::Bool(true);
    let schema = match resolved(root, root).get("additionalProperties") {
        Some(Value::Bool(false)) => return None,
        Some(schema) => schema,
        None => accepts(root, root).is_anything().then_some(&ANYTHING)?,
    };
    Some(Property { name, schema, required: false })
}

/// Adds the properties of a schema to `found`. `always_applies` is false inside an alternative: its properties are
/// never required.
fn collect_properties<'a>(
    root: &'a Value,
    schema: &'a Value,
    always_applies: bool,
    depth: usize,
    found: &mut Vec<Property<'a>>,
) {
    if depth == 0 {
        return;
    }
    let required: Vec<&str> = list(schema, "required").filter_map(Value::as_str).collect();
    for (name, part) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if found.iter().all(|known| known.name != name) {
            let required = always_applies && required.contains(&name.as_str());
            found.push(Property { name, schema: part, required });
        }
    }
    if let Some(target) = target(root, schema) {
        collect_properties(root, target, always_applies, depth - 1, found);
    }
    for (key, always_applies) in [("allOf", always_applies), ("anyOf", false), ("oneOf", false)] {
        for part in list(schema, key) {
            collect_properties(root, part, always_applies, depth - 1, found);
        }
    }
}

/// The types of JSON Schema, in the order in which messages list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum JsonType {
    Null,
    Boolean,
    Integer,
    Number,
    Array,
    Object,
    String,
}

impl JsonType {
    const NAMES: [(&'static str, JsonType); 7] = [
        ("null", JsonType::Null),
        ("boolean", JsonType::Boolean),
        ("integer", JsonType::Integer),
        ("number", JsonType::Number),
        ("array", JsonType::Array),
        ("object", JsonType::Object),
        ("string", JsonType::String),
    ];

    fn fits(self, json: &RawValue) -> bool {
        let text = json.get();
        let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        match self {
            JsonType::Null => text == "null",
            JsonType::Boolean => matches!(text, "true" | "false"),
            JsonType::Integer => is_number && !text.contains(['.', 'e', 'E']),
            JsonType::Number => is_number,
            JsonType::Array => text.starts_with('['),
            JsonType::Object => text.starts_with('{'),
            JsonType::String => text.starts_with('"'),
        }
    }
}

/// The values that a property accepts: those of some types, and single values.
#[derive(Debug, Default)]
pub(super) struct Accepts {
    types: BTreeSet<JsonType>,
    choices: Vec<Value>,
}

/// Returns the values that a schema accepts. A schema without types and single values accepts any JSON.
pub(super) fn accepts(root: &Value, schema: &Value) -> Accepts {
    let mut accepts = Accepts::default();
    accepts.collect(root, schema, MAX_DEPTH);
    if accepts.types.is_empty() && accepts.choices.is_empty() {
        accepts.types.extend(JsonType::NAMES.map(|(_, json_type)| json_type));
    }
    accepts
}

impl Accepts {
    /// Returns whether the argument may be given without a value, which means `true`.
    pub(super) fn is_flag(&self) -> bool {
        self.types.contains(&JsonType::Boolean) && !self.types.contains(&JsonType::String)
    }

    /// Returns whether any JSON is accepted.
    fn is_anything(&self) -> bool {
        self.types.len() == JsonType::NAMES.len()
    }

    /// Returns whether an object is accepted.
    pub(super) fn may_be_object(&self) -> bool {
        self.types.contains(&JsonType::Object)
    }

    /// Parses the text of an argument as JSON. `None` if the value is not accepted.
    ///
    /// If a number and a string are both accepted, `3` is the number, and `"3"` with its quotes is the string. A number
    /// stays as it was typed.
    pub(super) fn parse(&self, text: &str) -> Option<Box<RawValue>> {
        let json = serde_json::from_str::<&RawValue>(text).ok();
        if self.choices.iter().any(|choice| choice.as_str() == Some(text)) {
            return to_raw_value(text).ok();
        }
        let value = json.and_then(|json| serde_json::from_str::<Value>(json.get()).ok());
        if value.is_some_and(|value| self.choices.contains(&value)) {
            return json.map(ToOwned::to_owned);
        }
        let text_only = self
            .types
            .iter()
            .all(|json_type| matches!(json_type, JsonType::String | JsonType::Null));
        if let Some(json) = json
            && !(text_only && self.types.contains(&JsonType::String))
            && self.types.iter().any(|json_type| json_type.fits(json))
        {
            return Some(json.to_owned());
        }
        self.types.contains(&JsonType::String).then(|| to_raw_value(text).ok()).flatten()
    }

    /// Adds the values that a schema accepts.
    fn collect(&mut self, root: &Value, schema: &Value, depth: usize) {
        if depth == 0 {
            return;
        }
        if let Some(target) = target(root, schema) {
            self.collect(root, target, depth - 1);
        }
        self.choices.extend(schema.get("const").into_iter().chain(list(schema, "enum")).cloned());
        if schema.get("const").or(schema.get("enum")).is_none() {
            let one = schema.get("type").filter(|json_type| json_type.is_string());
            for name in one.into_iter().chain(list(schema, "type")).filter_map(Value::as_str) {
                let known = JsonType::NAMES.iter().filter(|(known, _)| *known == name);
                self.types.extend(known.map(|(_, json_type)| json_type));
            }
        }
        for part in ["anyOf", "oneOf", "allOf"].iter().flat_map(|key| list(schema, key)) {
            self.collect(root, part, depth - 1);
        }
    }
}

impl fmt::Display for Accepts {
    /// Writes `integer`, `small|large` or `integer or string`. Null is left out: such a property is optional.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_anything() {
            return f.write_str("any JSON");
        }
        let choices: Vec<String> = self
            .choices
            .iter()
            .filter(|choice| !choice.is_null())
            .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
            .collect();
        let types = JsonType::NAMES.iter().filter(|(_, json_type)| self.types.contains(json_type));
        let mut names: Vec<&str> =
            types.map(|(name, _)| *name).filter(|name| *name != "null").collect();
        let choices = choices.join("|");
        if !choices.is_empty() {
            names.insert(0, &choices);
        }
        f.write_str(if names.is_empty() { "null" } else { "" })?;
        f.write_str(&names.join(" or "))
    }
}

/// Returns the items of the array under `key`; none if there is no array.
fn list<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Returns the definition that a schema refers to, or the schema itself if it is not a reference.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    target(root, schema).unwrap_or(schema)
}

/// Returns the definition that a schema refers to, or `None` if it is not a reference into `root`.
fn target<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}
