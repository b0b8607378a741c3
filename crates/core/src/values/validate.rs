//! Validates JSON against a JSON Schema. Violations are described for users: `` `width` is "wide", not an integer ``.

mod instance;
mod violation;

use jsonschema::Validator;
use serde_json::Value;

use self::instance::Exact;
use crate::values::json::Json;

/// The largest number of problems that one message describes. Further ones are only counted.
const MAX_PROBLEMS: usize = 5;

/// A compiled JSON Schema, which validates any number of values.
///
/// A `$ref` must point into the schema itself: compiling never fetches another document.
#[derive(Debug)]
pub struct Schema {
    validator: Validator<Exact>,
    declared: Value,
}

impl Schema {
    /// Compiles a schema. `Err` if it is not a valid JSON Schema.
    pub fn compile(schema: &Value) -> Result<Schema, BadSchema> {
        match jsonschema::options_for::<Exact>().build(schema) {
            Ok(validator) => Ok(Schema { validator, declared: schema.clone() }),
            Err(error) => Err(BadSchema(violation::describe(&error, schema, None))),
        }
    }

    /// Checks that a text is JSON and is valid against the schema. `Err` if not.
    pub fn check(&self, text: &[u8]) -> Result<(), SchemaViolation> {
        let value = Json::parse(text)
            .map_err(|bad| SchemaViolation { problems: vec![format!("it {bad}")] })?;
        self.check_value(&value)
    }

    /// Checks that a value is valid against the schema. `Err` if not.
    pub fn check_value(&self, value: &Json) -> Result<(), SchemaViolation> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let mut problems: Vec<String> = self
            .validator
            .iter_errors(value)
            .map(|error| violation::describe(&error, &self.declared, Some(value)))
            .collect();
        if problems.len() > MAX_PROBLEMS {
            let more = problems.len() - MAX_PROBLEMS;
            problems.truncate(MAX_PROBLEMS);
            problems.push(format!("and {more} more"));
        }
        Err(SchemaViolation { problems })
    }
}

/// The error of a value that is not a valid JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON Schema: {0}")]
pub struct BadSchema(String);

/// The error of a value that is not valid against a schema. Its message lists the problems.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct SchemaViolation {
    /// One description for each part of the value that is not valid, at most five, and then the number of
    /// those that were left out.
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(schema: &Value, text: &str) -> Vec<String> {
        let schema = Schema::compile(schema).unwrap();
        schema.check(text.as_bytes()).err().map(|violation| violation.problems).unwrap_or_default()
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
    fn a_valid_value_has_no_problems() {
        for text in [
            r#"{"width": 1, "note": ""}"#,
            r#"{"width": 1, "note": "", "height": null, "corners": [{"radius": 1.5}, {}]}"#,
        ] {
            assert_eq!(problems(&resize(), text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_problem_names_its_part_of_the_value() {
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
            assert_eq!(problems(&resize(), text), [expected], "{text}");
        }
    }

    #[test]
    fn at_most_five_problems_are_described() {
        assert_eq!(
            problems(&resize(), r#"{"width": "wide", "a": 1}"#).len(),
            3,
            "a type, an unknown and a missing one"
        );
        let list = json!({ "type": "array", "items": { "type": "string" } });
        let described = problems(&list, "[1, 2, 3, 4, 5, 6, 7]");
        assert_eq!(described.len(), 6);
        assert_eq!(described[5], "and 2 more");
    }

    #[test]
    fn long_values_are_cut() {
        let text = serde_json::to_string(&"x".repeat(1000)).unwrap();
        let described = problems(&json!({ "type": "integer" }), &text);
        assert!(described[0].starts_with("it is \"xxx"), "{}", described[0]);
        assert!(described[0].ends_with("x…, not an integer"), "{}", described[0]);
        assert!(described[0].chars().count() < 100, "{}", described[0]);
    }

    #[test]
    fn the_alternative_that_fits_best_is_described() {
        let choice = json!({ "anyOf": [
            { "type": "null" },
            { "type": "object", "properties": { "x": { "type": "integer" } } }
        ] });
        assert_eq!(problems(&choice, r#"{"x": "y"}"#), [r#"`x` is "y", not an integer"#]);
        assert_eq!(problems(&choice, "3"), ["it is 3, not an object or null"]);
    }

    #[test]
    fn numbers_are_compared_and_shown_with_all_their_digits() {
        let number = json!({ "type": "number", "maximum": 100 });
        for text in ["99.99999999999999999999", "-1e400", "0.1"] {
            assert_eq!(problems(&number, text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(
            problems(&number, "12345678901234567.25"),
            ["it is 12345678901234567.25, more than 100"]
        );
        assert_eq!(problems(&number, "1e400"), ["it is 1e400, more than 100"]);
        let integers =
            json!({ "type": "array", "items": { "type": "integer" }, "uniqueItems": true });
        assert_eq!(
            problems(&integers, "[12345678901234567.25, 1.0]"),
            ["`[0]` is 12345678901234567.25, not an integer"]
        );
        let large = "[123456789012345678901234567890, 123456789012345678901234567891]";
        assert_eq!(problems(&integers, large), Vec::<String>::new());
        assert_eq!(problems(&integers, "[1, 1.0]").len(), 1);
        let choice = json!({ "enum": [0.1, 9_007_199_254_740_993_u64] });
        assert_eq!(problems(&choice, "0.10"), Vec::<String>::new());
        assert_eq!(problems(&choice, "9007199254740993.0"), Vec::<String>::new());
        assert_eq!(problems(&choice, "9007199254740992").len(), 1);
    }

    #[test]
    fn an_invalid_schema_is_refused() {
        for (schema, expected) in [
            (json!({ "type": "intger" }), "intger"),
            (json!({ "properties": { "a": { "minimum": "x" } } }), "`properties.a.minimum`"),
            (json!({ "$ref": "https://example.com/other.json" }), "example.com"),
            (json!({ "$ref": "file:///etc/passwd" }), "passwd"),
        ] {
            let error = Schema::compile(&schema).unwrap_err().to_string();
            assert!(error.starts_with("not a JSON Schema: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
