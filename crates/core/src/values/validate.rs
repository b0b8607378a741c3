//! Whether a JSON text fits a JSON Schema, and if not, what is wrong, in words for whoever wrote it:
//! `` `width` is "wide", not an integer ``.

mod misfit;

use jsonschema::Validator;
use serde_json::Value;

/// Most faults that one message names; the rest is counted.
const MOST_FAULTS: usize = 5;

/// A JSON Schema, made ready once for any number of texts. Nothing is fetched: a `$ref` leads
/// into the schema itself, or it is refused.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    declared: Value,
}

impl Schema {
    /// Makes it ready.
    pub fn compile(schema: &Value) -> Result<Schema, BadSchema> {
        match jsonschema::options().build(schema) {
            Ok(validator) => Ok(Schema { validator, declared: schema.clone() }),
            Err(error) => Err(BadSchema(misfit::describe(&error, schema))),
        }
    }

    /// Whether a text is JSON and fits.
    pub fn check(&self, text: &[u8]) -> Result<(), Misfit> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| Misfit { faults: vec![format!("it is not JSON: {error}")] })?;
        self.check_value(&value)
    }

    /// Whether a value fits.
    pub fn check_value(&self, value: &Value) -> Result<(), Misfit> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let mut faults: Vec<String> = self
            .validator
            .iter_errors(value)
            .map(|error| misfit::describe(&error, &self.declared))
            .collect();
        if faults.len() > MOST_FAULTS {
            let more = faults.len() - MOST_FAULTS;
            faults.truncate(MOST_FAULTS);
            faults.push(format!("and {more} more"));
        }
        Err(Misfit { faults })
    }
}

/// What is given as a schema is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON Schema: {0}")]
pub struct BadSchema(String);

/// A text that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", faults.join("; "))]
pub struct Misfit {
    /// What is wrong, one place each.
    pub faults: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(schema: &Value, text: &str) -> Vec<String> {
        let schema = Schema::compile(schema).unwrap();
        schema.check(text.as_bytes()).err().map(|misfit| misfit.faults).unwrap_or_default()
    }

    fn resize() -> Value {
        json!({
            "type": "object",
            "properties": {
                "width": { "type": "integer", "minimum": 1 },
                "height": { "type": ["integer", "null"] },
                "note": { "type": "string" },
                "form": { "enum": ["png", "jpeg"] },
                "corners": { "type": "array", "items": { "$ref": "#/$defs/corner" } }
            },
            "required": ["width", "note"],
            "additionalProperties": false,
            "$defs": { "corner": {
                "type": "object",
                "properties": { "radius": { "type": "number" } },
                "additionalProperties": false
            } }
        })
    }

    #[test]
    fn what_fits_is_taken() {
        for text in [
            r#"{"width": 1, "note": ""}"#,
            r#"{"width": 1, "note": "", "height": null, "corners": [{"radius": 1.5}, {}]}"#,
        ] {
            assert_eq!(faults(&resize(), text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        for (text, expected) in [
            (r#"{"width": "wide", "note": ""}"#, r#"`width` is "wide", not an integer"#),
            (r#"{"width": 0, "note": ""}"#, "`width` is 0, less than 1"),
            (r#"{"width": 1}"#, "missing `note`"),
            (
                r#"{"width": 1, "note": "", "heigth": 2}"#,
                "unknown `heigth`: did you mean `height`?",
            ),
            (r#"{"width": 1, "note": "", "colour": 2}"#, "unknown `colour`"),
            (
                r#"{"width": 1, "note": "", "height": "x"}"#,
                r#"`height` is "x", not an integer or null"#,
            ),
            (
                r#"{"width": 1, "note": "", "form": "gif"}"#,
                r#"`form` is "gif", not one of "png", "jpeg""#,
            ),
            (
                r#"{"width": 1, "note": "", "corners": [{}, {"radius": "r"}]}"#,
                r#"`corners[1].radius` is "r", not a number"#,
            ),
            (
                r#"{"width": 1, "note": "", "corners": [{"radios": 1}]}"#,
                "unknown `radios` in `corners[0]`: did you mean `radius`?",
            ),
            ("[1]", "it is [1], not an object"),
            ("{", "it is not JSON: EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(faults(&resize(), text), [expected], "{text}");
        }
    }

    #[test]
    fn every_fault_is_named_up_to_a_bound() {
        assert_eq!(
            faults(&resize(), r#"{"width": "wide", "a": 1}"#).len(),
            3,
            "a type, an unknown and a missing one"
        );
        let list = json!({ "type": "array", "items": { "type": "string" } });
        let found = faults(&list, "[1, 2, 3, 4, 5, 6, 7]");
        assert_eq!(found.len(), 6);
        assert_eq!(found[5], "and 2 more");
    }

    #[test]
    fn long_values_are_cut() {
        let text = serde_json::to_string(&"x".repeat(1000)).unwrap();
        let found = faults(&json!({ "type": "integer" }), &text);
        assert!(found[0].starts_with("it is \"xxx"), "{}", found[0]);
        assert!(found[0].ends_with("x…, not an integer"), "{}", found[0]);
        assert!(found[0].chars().count() < 100, "{}", found[0]);
    }

    #[test]
    fn choices_tell_the_nearest_fault() {
        let choice = json!({ "anyOf": [
            { "type": "null" },
            { "type": "object", "properties": { "x": { "type": "integer" } } }
        ] });
        assert_eq!(faults(&choice, r#"{"x": "y"}"#), [r#"`x` is "y", not an integer"#]);
        assert_eq!(faults(&choice, "3"), ["it is 3, not an object or null"]);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for (schema, said) in [
            (json!({ "type": "intger" }), "intger"),
            (json!({ "properties": { "a": { "minimum": "x" } } }), "`properties.a.minimum`"),
            (json!({ "$ref": "https://example.com/other.json" }), "example.com"),
            (json!({ "$ref": "file:///etc/passwd" }), "passwd"),
        ] {
            let error = Schema::compile(&schema).unwrap_err().to_string();
            assert!(error.starts_with("not a JSON Schema: "), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }
}
