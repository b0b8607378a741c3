//! Expands the short form of an input's schema in a manifest, `{ width = "integer", note = "string?" }`, to a JSON
//! Schema: an object with these properties and no others.

use serde_json::{Map, Value, json};

use rework_arguments::suggest::nearest;

const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "array", "object"];

/// Keywords of JSON Schema whose value is a string. Without other keys, they make a table with `type` a JSON Schema.
const STRING_KEYWORDS: [&str; 5] = ["type", "title", "description", "format", "pattern"];

/// Keywords of JSON Schema whose value is never a string. With another value than a string, such a key cannot be an
/// input in the short form, so the table is a JSON Schema.
const OTHER_KEYWORDS: [&str; 13] = [
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

/// The error of an input in the short form whose type is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is {given}, not a type{suggestion}: write \"string\", \"integer\", \"number\", \
     \"boolean\", \"array\" or \"object\", and add `?` if the input may be left out"
)]
pub struct UnknownType {
    name: String,
    given: String,
    suggestion: String,
}

/// Returns `declared` itself if it is a JSON Schema, or else the JSON Schema of which it is the short form.
///
/// # Errors
///
/// `Err` if the short form gives an input an unknown type.
pub fn expand(declared: &Map<String, Value>) -> Result<Value, UnknownType> {
    if is_json_schema(declared) {
        return Ok(Value::Object(declared.clone()));
    }
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, given) in declared {
        let text = given.as_str().ok_or_else(|| unknown_type(name, given))?;
        let type_name = text.strip_suffix('?').unwrap_or(text);
        if !TYPES.contains(&type_name) {
            return Err(unknown_type(name, given));
        }
        properties.insert(name.clone(), json!({ "type": type_name }));
        if type_name.len() == text.len() {
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

/// Returns whether a table is a JSON Schema, and not the short form.
///
/// A table is a JSON Schema if it has a key that starts with `$`, or one of [`OTHER_KEYWORDS`] with a value that is
/// not a string. It is also one if it has a `type` and nothing but [`STRING_KEYWORDS`], such as
/// `{ type = "object" }`.
fn is_json_schema(declared: &Map<String, Value>) -> bool {
    let has_keyword = declared.iter().any(|(key, value)| {
        key.starts_with('$') || (OTHER_KEYWORDS.contains(&key.as_str()) && !value.is_string())
    });
    let has_type = match declared.get("type") {
        Some(Value::String(name)) => !name.ends_with('?'),
        other => other.is_some(),
    };
    has_keyword || (has_type && declared.keys().all(|key| STRING_KEYWORDS.contains(&key.as_str())))
}

fn unknown_type(name: &str, given: &Value) -> UnknownType {
    let suggestion = given
        .as_str()
        .and_then(|text| nearest(text, TYPES))
        .map(|nearest| format!(" (did you mean `{nearest}`?)"))
        .unwrap_or_default();
    UnknownType { name: name.to_owned(), given: given.to_string(), suggestion }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(declared: &Value) -> Result<Value, String> {
        expand(declared.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_short_form_becomes_a_schema_of_an_object() {
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
    fn the_error_names_an_unknown_type() {
        let error = expanded(&json!({ "width": "intger" })).unwrap_err();
        assert!(
            error.starts_with("`width` is \"intger\", not a type (did you mean `integer`?): write"),
            "{error}"
        );
        let error = expanded(&json!({ "width": 3 })).unwrap_err();
        assert!(error.starts_with("`width` is 3, not a type: write \"string\""), "{error}");
    }

    #[test]
    fn an_empty_declaration_allows_no_inputs() {
        let schema = expanded(&json!({})).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false));
    }
}
