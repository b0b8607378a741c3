//! Reads the input of a task from the command line and validates it against the input schema of the operation.
//!
//! The input is given as a whole (`--input JSON|@FILE|-`, `--raw …`) or by its parts (`--width 300`). A part is one
//! property of the input object. The validation happens before anything is scheduled.

use std::io::Read as _;

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rework_core::{
    task::payload::Payload,
    values::{
        io_specs,
        json::Json,
        validate::{Schema, SchemaViolation},
    },
};
use rework_wire::operation::Definition;
use serde_json::{Value, json, value::to_raw_value};

use crate::error_text::{OrHint as _, hinted, usage_error};

/// The input as the user typed it. At most one of the three forms may be used.
#[derive(Debug, Default)]
pub(crate) struct TypedInput<'a> {
    /// The value of `--input`. `None` if the option is not given.
    pub(crate) json: Option<&'a str>,
    /// The value of `--raw`. `None` if the option is not given.
    pub(crate) raw: Option<&'a str>,
    /// The parts of the input, as arguments: `--width 300`.
    pub(crate) parts: &'a [String],
}

impl TypedInput<'_> {
    /// Returns the validated input for an operation. `Err` if the input does not match the schema.
    pub(crate) fn payload(&self, operation: &Definition) -> anyhow::Result<Payload> {
        let help = || format!("see `rework schedule {} --help`", operation.name);
        let is_whole = self.json.is_some() || self.raw.is_some();
        if is_whole && !self.parts.is_empty() {
            let message =
                format!("`{}` cannot be combined with `--input` or `--raw`", self.parts[0]);
            return Err(usage_error(
                message,
                "give the whole input, or its parts by name, but not both",
            ));
        }
        match (self.json, self.raw, &operation.input) {
            (Some(json), _, schema) => {
                let text =
                    String::from_utf8(read_argument(json)?).context("the input is not UTF-8")?;
                validate_json(operation, schema.as_ref(), text.as_bytes()).or_hint(help)?;
                Ok(Payload::Json(text))
            }
            (None, Some(_), Some(_)) => Err(hinted(
                format!("operation `{}` takes JSON, so `--raw` is not allowed", operation.name),
                help(),
            )),
            (None, Some(raw), None) => Ok(Payload::Bytes(read_argument(raw)?)),
            (None, None, None) if self.parts.is_empty() => Ok(Payload::None),
            (None, None, None) => {
                // The operation has no input schema, so parts with any name are accepted.
                let any_object = json!({ "type": "object", "additionalProperties": true });
                let parts = rework_arguments::parse(&any_object, self.parts)?;
                let text = serde_json::to_string(&parts)?;
                validate_json(operation, None, text.as_bytes()).or_hint(help)?;
                Ok(Payload::Json(text))
            }
            (None, None, Some(schema)) => self.object_of_parts(operation, schema).or_hint(help),
        }
    }

    /// Returns a JSON object of the typed parts. If no part was typed and an empty object is invalid but `null` is
    /// valid, returns no input.
    fn object_of_parts(&self, operation: &Definition, schema: &Value) -> anyhow::Result<Payload> {
        let mut input = rework_arguments::parse(schema, self.parts)?;
        for name in rework_arguments::base64_properties(schema) {
            if let Some(part) = input.get_mut(name)
                && let Ok(path) = serde_json::from_str::<String>(part.get())
                && path.starts_with('@')
            {
                *part = to_raw_value(&BASE64_STANDARD.encode(read_argument(&path)?))?;
            }
        }
        let text = serde_json::to_string(&input)?;
        match validate_json(operation, Some(schema), text.as_bytes()) {
            Ok(()) => Ok(Payload::Json(text)),
            Err(_)
                if self.parts.is_empty()
                    && validate_json(operation, Some(schema), b"null").is_ok() =>
            {
                Ok(Payload::None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Validates an input that was read from a file of schedules (`commands/import_scheduled.rs`).
pub(crate) fn validate(operation: &Definition, input: &Payload) -> anyhow::Result<()> {
    match (input, &operation.input) {
        (Payload::Json(text), schema) => validate_json(operation, schema.as_ref(), text.as_bytes()),
        (Payload::None, Some(schema)) => validate_json(operation, Some(schema), b"null"),
        (Payload::Bytes(_), Some(_)) => {
            anyhow::bail!("operation `{}` takes JSON, but the input is bytes", operation.name)
        }
        (Payload::None | Payload::Bytes(_), None) => Ok(()),
    }
}

/// Validates a JSON text against the schema. Without a schema, only checks that the text is JSON.
fn validate_json(
    operation: &Definition,
    schema: Option<&Value>,
    text: &[u8],
) -> anyhow::Result<()> {
    check(operation, &compile_schema(schema)?, text).map_err(anyhow::Error::msg)
}

/// Checks that a text is JSON and matches the schema of an operation. `Err` with a message if not.
pub(crate) fn check(operation: &Definition, schema: &Schema, text: &[u8]) -> Result<(), String> {
    let refused = |bad| format!("the input for operation `{}` {bad}", operation.name);
    let input = Json::parse(text).map_err(refused)?;
    schema.check_value(&input).map_err(|violation| violation_message(operation, &input, &violation))
}

/// Returns the message for an input that does not match the schema.
///
/// If the input was declared with `rework.io` in Python, the message has the same wording as in Python.
fn violation_message(operation: &Definition, input: &Json, violation: &SchemaViolation) -> String {
    let python_message = || {
        let schema = operation.input.as_ref()?;
        io_specs::first_violation(schema, &input.to_value())
    };
    python_message().unwrap_or_else(|| {
        format!(
            "the input does not match the schema of operation `{}`: {violation}",
            operation.name
        )
    })
}

/// Compiles the input schema of an operation. Without a schema, any JSON is valid.
pub(crate) fn compile_schema(schema: Option<&Value>) -> anyhow::Result<Schema> {
    Ok(Schema::compile(schema.unwrap_or(&Value::Bool(true)))?)
}

/// Returns the bytes that an argument stands for: the contents of the file for `@FILE`, all of standard input for `-`,
/// else the argument itself.
fn read_argument(argument: &str) -> anyhow::Result<Vec<u8>> {
    if argument == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    match argument.strip_prefix('@') {
        Some(path) => {
            std::fs::read(path).with_context(|| format!("cannot read `{path}`")).or_hint(|| {
                "write `@FILE` with the name of an existing file, or `-` for standard input".into()
            })
        }
        None => Ok(argument.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use rework_wire::operation::{Form, Limits};

    use super::*;

    fn operation(input: Option<Value>) -> Definition {
        Definition {
            domain: "default".into(),
            name: "resize".into(),
            input,
            output: None,
            output_form: Form::Json,
            limits: Limits::default(),
            ..Definition::default()
        }
    }

    fn resize() -> Definition {
        operation(Some(json!({
            "type": "object",
            "properties": { "width": { "type": "integer" }, "note": { "type": "string" } },
            "required": ["width"],
            "additionalProperties": false,
        })))
    }

    #[test]
    fn an_input_declared_in_python_gets_the_message_of_python() {
        let typed = operation(Some(json!({
            "type": "object",
            "properties": { "n": { "type": "number" } },
            "required": ["n"],
            "additionalProperties": false,
            "x-rework-io": [{ "name": "n", "type": "number", "required": true }],
        })));
        for (json, expected) in [
            ("{}", "missing required input: `n`"),
            (r#"{"n": "3"}"#, "value `'3'` is not a number"),
            (
                "{",
                "the input for operation `resize` is not JSON: \
                   EOF while parsing an object at line 1 column 1",
            ),
        ] {
            let input = TypedInput { json: Some(json), ..TypedInput::default() };
            assert_eq!(payload(&typed, &input).unwrap_err(), expected, "{json}");
        }
        let nothing = payload(&typed, &TypedInput::default());
        assert_eq!(nothing.unwrap_err(), "missing required input: `n`");
    }

    fn split(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn payload(operation: &Definition, typed: &TypedInput<'_>) -> Result<Payload, String> {
        typed.payload(operation).map_err(|error| error.to_string())
    }

    #[test]
    fn an_input_is_read_from_its_parts() {
        for (line, expected) in [
            ("--width 300", Ok(r#"{"width":300}"#)),
            ("--note x --width=3", Ok(r#"{"note":"x","width":3}"#)),
            ("--widht 3", Err("the input has no `--widht`: did you mean `--width`?")),
            (
                "--note x",
                Err("the input does not match the schema of operation `resize`: missing `width`"),
            ),
            ("", Err("the input does not match the schema of operation `resize`: missing `width`")),
        ] {
            let actual =
                payload(&resize(), &TypedInput { parts: &split(line), ..TypedInput::default() });
            let expected =
                expected.map(|text| Payload::Json(text.to_owned())).map_err(str::to_owned);
            assert_eq!(actual, expected, "{line}");
        }
    }

    #[test]
    fn an_input_is_read_as_a_whole() {
        let whole =
            |json| payload(&resize(), &TypedInput { json: Some(json), ..TypedInput::default() });
        assert_eq!(whole(r#"{ "width": 3 }"#), Ok(Payload::Json(r#"{ "width": 3 }"#.to_owned())));
        assert_eq!(
            whole(r#"{"width": "wide"}"#).unwrap_err(),
            "the input does not match the schema of operation `resize`: `width` is \"wide\", not an integer"
        );
        assert!(whole("{").unwrap_err().contains("`resize` is not JSON"));
        assert_eq!(whole("@/no/such/file").unwrap_err(), "cannot read `/no/such/file`");
        let both = TypedInput { json: Some("{}"), parts: &split("--width 3"), raw: None };
        assert!(payload(&resize(), &both).unwrap_err().contains("cannot be combined"));
    }

    #[test]
    fn without_a_schema_every_input_is_accepted() {
        let free = operation(None);
        assert_eq!(payload(&free, &TypedInput::default()), Ok(Payload::None));
        let parts = split("--a 1 --b x");
        assert_eq!(
            payload(&free, &TypedInput { parts: &parts, ..TypedInput::default() }),
            Ok(Payload::Json(r#"{"a":1,"b":"x"}"#.to_owned()))
        );
        let raw = TypedInput { raw: Some("\0x"), ..TypedInput::default() };
        assert_eq!(payload(&free, &raw), Ok(Payload::Bytes(b"\0x".to_vec())));
        assert!(payload(&resize(), &raw).unwrap_err().contains("takes JSON"));
        let broken = TypedInput { json: Some("nonsense"), ..TypedInput::default() };
        assert!(payload(&free, &broken).unwrap_err().contains("`resize` is not JSON"));
    }

    #[test]
    fn digits_of_numbers_stay_as_they_were_typed() {
        let number = operation(Some(json!({ "properties": { "f": { "type": "number" } } })));
        for (line, expected) in [
            ("--f=12345678901234567.25", r#"{"f":12345678901234567.25}"#),
            ("--f 1e400", r#"{"f":1e400}"#),
        ] {
            let typed = TypedInput { parts: &split(line), ..TypedInput::default() };
            assert_eq!(payload(&number, &typed), Ok(Payload::Json(expected.to_owned())));
            let typed = TypedInput { json: Some(expected), ..TypedInput::default() };
            assert_eq!(payload(&number, &typed), Ok(Payload::Json(expected.to_owned())));
        }
    }

    #[test]
    fn without_arguments_there_is_no_input_if_the_schema_allows_null() {
        let optional = operation(Some(json!({ "type": ["object", "null"], "required": ["a"] })));
        assert_eq!(payload(&optional, &TypedInput::default()), Ok(Payload::None));
        let free = operation(Some(json!({ "type": "object" })));
        assert_eq!(payload(&free, &TypedInput::default()), Ok(Payload::Json("{}".to_owned())));
    }
}
