//! The short form of an input's schema, `{ width = "integer", note = "string?" }`, made the JSON
//! Schema that it stands for: an object with these properties and no others.

use serde_json::{Map, Value, json};

use rework_arguments::suggest::nearest;

const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "array", "object"];

/// Words of JSON Schema that may stand beside a plain `type = "…"` with a plain text.
const TEXT_KEYWORDS: [&str; 5] = ["type", "title", "description", "format", "pattern"];

/// Words of JSON Schema whose value is never a plain text, so that they cannot be inputs here.
const KEYWORDS: [&str; 13] = [
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "items",
    "enum",
    "const",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "minimum",
    "maximum",
];

/// An input of the short form that has no known type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is {given}, not a type{meant}: write \"string\", \"integer\", \"number\", \
     \"boolean\", \"array\" or \"object\", with `?` after what may be left out"
)]
pub struct UnknownType {
    name: String,
    given: String,
    meant: String,
}

/// The JSON Schema that `declared` is, or stands for.
pub fn expand(declared: &Map<String, Value>) -> Result<Value, UnknownType> {
    if is_json_schema(declared) {
        return Ok(Value::Object(declared.clone()));
    }
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, given) in declared {
        let text = given.as_str().ok_or_else(|| unknown(name, given))?;
        let plain = text.strip_suffix('?').unwrap_or(text);
        if !TYPES.contains(&plain) {
            return Err(unknown(name, given));
        }
        properties.insert(name.clone(), json!({ "type": plain }));
        if plain.len() == text.len() {
            required.push(name.clone());
        }
    }
    Ok(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
}

/// What has a word of JSON Schema with a value that no short form can have; or `type` with nothing
/// but other words of JSON Schema, so that `{ type = "object" }` means what it says there.
fn is_json_schema(declared: &Map<String, Value>) -> bool {
    let marked = declared.iter().any(|(key, value)| {
        key.starts_with('$') || (KEYWORDS.contains(&key.as_str()) && !value.is_string())
    });
    let typed = match declared.get("type") {
        Some(Value::String(name)) => !name.ends_with('?'),
        other => other.is_some(),
    };
    marked || (typed && declared.keys().all(|key| TEXT_KEYWORDS.contains(&key.as_str())))
}

fn unknown(name: &str, given: &Value) -> UnknownType {
    let meant = given
        .as_str()
        .and_then(|text| nearest(text, TYPES))
        .map(|meant| format!(" (did you mean `{meant}`?)"))
        .unwrap_or_default();
    UnknownType { name: name.to_owned(), given: given.to_string(), meant }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(declared: &Value) -> Result<Value, String> {
        expand(declared.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_short_form() {
        let schema = expanded(&json!({ "width": "integer", "note": "string?" })).unwrap();
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": { "width": { "type": "integer" }, "note": { "type": "string" } },
                "required": ["width"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn inputs_may_have_the_names_of_keywords() {
        let schema = expanded(&json!({ "type": "string", "width": "integer" })).unwrap();
        assert_eq!(schema["properties"]["type"], json!({ "type": "string" }));
        let schema = expanded(&json!({ "type": "string?" })).unwrap();
        assert_eq!(schema["required"], json!([]));
        let schema = expanded(&json!({ "items": "array", "format": "string" })).unwrap();
        assert_eq!(schema["properties"]["items"], json!({ "type": "array" }));
    }

    #[test]
    fn a_json_schema_stays_as_it_is() {
        for schema in [
            json!({ "type": "object" }),
            json!({ "type": ["object", "null"] }),
            json!({ "type": "object", "properties": { "a": {} } }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": {} } }),
            json!({ "properties": { "a": { "type": "string" } }, "required": ["a"] }),
            json!({ "enum": ["a", "b"] }),
        ] {
            assert_eq!(expanded(&schema).unwrap(), schema);
        }
    }

    #[test]
    fn an_unknown_type_is_named() {
        let error = expanded(&json!({ "width": "intger" })).unwrap_err();
        assert!(
            error.starts_with("`width` is \"intger\", not a type (did you mean `integer`?): write"),
            "{error}"
        );
        let error = expanded(&json!({ "width": 3 })).unwrap_err();
        assert!(error.starts_with("`width` is 3, not a type: write \"string\""), "{error}");
    }

    #[test]
    fn nothing_declared_takes_nothing() {
        let schema = expanded(&json!({})).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false));
    }
}
