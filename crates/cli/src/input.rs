//! The input of a task as it is typed: whole (`--input JSON|@file|-`, `--raw …`), or by its parts
//! (`--width 300`), held against the operation's schema before anything is queued.

use std::io::Read as _;

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rework_core::{
    task::payload::Payload,
    values::{
        io_specs,
        validate::{Misfit, Schema},
    },
};
use rework_wire::operation::Definition;
use serde_json::{Value, json};

use crate::report::{OrHint as _, hinted, usage};

#[derive(Debug, Default)]
pub(crate) struct Typed<'a> {
    /// `--input`
    pub(crate) json: Option<&'a str>,
    /// `--raw`
    pub(crate) raw: Option<&'a str>,
    /// `--width 300 …`
    pub(crate) words: &'a [String],
}

impl Typed<'_> {
    /// The input for this operation; an error says what does not fit.
    pub(crate) fn payload(&self, operation: &Definition) -> anyhow::Result<Payload> {
        let help = || format!("see `rework schedule {} --help`", operation.name);
        let whole = self.json.is_some() || self.raw.is_some();
        if whole && !self.words.is_empty() {
            let message =
                format!("`{}` belongs to an input that is given whole already", self.words[0]);
            return Err(usage(message, "give the input by `--input` or by its parts, not by both"));
        }
        match (self.json, self.raw, &operation.input) {
            (Some(json), _, schema) => {
                let text = String::from_utf8(read(json)?).context("the input is not UTF-8")?;
                fits(operation, schema.as_ref(), text.as_bytes()).or_hint(help)?;
                Ok(Payload::Json(text))
            }
            (None, Some(_), Some(_)) => Err(hinted(
                format!("operation `{}` takes JSON, and no other bytes", operation.name),
                help(),
            )),
            (None, Some(raw), None) => Ok(Payload::Bytes(read(raw)?)),
            (None, None, None) if self.words.is_empty() => Ok(Payload::None),
            (None, None, None) => {
                // Whatever is named is taken: nobody declared what there is.
                let anything = json!({ "type": "object", "additionalProperties": true });
                Ok(Payload::Json(rework_arguments::parse(&anything, self.words)?.to_string()))
            }
            (None, None, Some(schema)) => self.parts(operation, schema).or_hint(help),
        }
    }

    /// An object of the parts that were typed; without any, nothing at all where that fits.
    fn parts(&self, operation: &Definition, schema: &Value) -> anyhow::Result<Payload> {
        let mut input = rework_arguments::parse(schema, self.words)?;
        for name in rework_arguments::base64_parts(schema) {
            if let Some(part) = input.get_mut(name)
                && let Some(path) = part.as_str().filter(|text| text.starts_with('@'))
            {
                *part = BASE64_STANDARD.encode(read(path)?).into();
            }
        }
        let text = input.to_string();
        match fits(operation, Some(schema), text.as_bytes()) {
            Ok(()) => Ok(Payload::Json(text)),
            Err(_) if self.words.is_empty() && fits(operation, Some(schema), b"null").is_ok() => {
                Ok(Payload::None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether an input fits that was kept.
pub(crate) fn check(operation: &Definition, input: &Payload) -> anyhow::Result<()> {
    match (input, &operation.input) {
        (Payload::Json(text), schema) => fits(operation, schema.as_ref(), text.as_bytes()),
        (Payload::None, Some(schema)) => fits(operation, Some(schema), b"null"),
        (Payload::Bytes(_), Some(_)) => {
            anyhow::bail!("operation `{}` takes JSON, and no other bytes", operation.name)
        }
        (Payload::None | Payload::Bytes(_), None) => Ok(()),
    }
}

/// Whether a JSON text fits; without a schema, whether it is JSON.
fn fits(operation: &Definition, schema: Option<&Value>, text: &[u8]) -> anyhow::Result<()> {
    compile(schema)?.check(text).map_err(|misfit| anyhow::anyhow!(told(operation, text, &misfit)))
}

/// What is wrong with a JSON text that does not fit; if `rework.io` declares the input, as Python says it.
pub(crate) fn told(operation: &Definition, text: &[u8], misfit: &Misfit) -> String {
    let sentence = || {
        let schema = operation.input.as_ref()?;
        io_specs::fault(schema, &serde_json::from_slice(text).ok()?)
    };
    sentence().unwrap_or_else(|| {
        format!("the input does not fit operation `{}`: {misfit}", operation.name)
    })
}

/// What inputs are held against: where nobody declared anything, whatever is JSON fits.
pub(crate) fn compile(schema: Option<&Value>) -> anyhow::Result<Schema> {
    Ok(Schema::compile(schema.unwrap_or(&Value::Bool(true)))?)
}

/// The text itself, or what it leads to: `@file`, or `-` for the standard input.
fn read(given: &str) -> anyhow::Result<Vec<u8>> {
    if given == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read the standard input")?;
        return Ok(bytes);
    }
    match given.strip_prefix('@') {
        Some(path) => std::fs::read(path)
            .with_context(|| format!("cannot read `{path}`"))
            .or_hint(|| "behind `@` stands the name of a file; `-` is the standard input".into()),
        None => Ok(given.as_bytes().to_vec()),
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
    fn what_python_declares_is_told_as_python_tells_it() {
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
                "the input does not fit operation `resize`: it is not JSON: \
                   EOF while parsing an object at line 1 column 1",
            ),
        ] {
            let whole = Typed { json: Some(json), ..Typed::default() };
            assert_eq!(payload(&typed, &whole).unwrap_err(), expected, "{json}");
        }
        let nothing = payload(&typed, &Typed::default());
        assert_eq!(nothing.unwrap_err(), "missing required input: `n`");
    }

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn payload(operation: &Definition, typed: &Typed<'_>) -> Result<Payload, String> {
        typed.payload(operation).map_err(|error| error.to_string())
    }

    #[test]
    fn an_input_by_its_parts() {
        for (line, expected) in [
            ("--width 300", Ok(r#"{"width":300}"#)),
            ("--note x --width=3", Ok(r#"{"note":"x","width":3}"#)),
            ("--widht 3", Err("the input has no `--widht`: did you mean `--width`?")),
            ("--note x", Err("the input does not fit operation `resize`: missing `width`")),
            ("", Err("the input does not fit operation `resize`: missing `width`")),
        ] {
            let found = payload(&resize(), &Typed { words: &words(line), ..Typed::default() });
            let expected =
                expected.map(|text| Payload::Json(text.to_owned())).map_err(str::to_owned);
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn an_input_given_whole() {
        let whole = |json| payload(&resize(), &Typed { json: Some(json), ..Typed::default() });
        assert_eq!(whole(r#"{ "width": 3 }"#), Ok(Payload::Json(r#"{ "width": 3 }"#.to_owned())));
        assert_eq!(
            whole(r#"{"width": "wide"}"#).unwrap_err(),
            "the input does not fit operation `resize`: `width` is \"wide\", not an integer"
        );
        assert!(whole("{").unwrap_err().contains("it is not JSON"));
        assert_eq!(whole("@/no/such/file").unwrap_err(), "cannot read `/no/such/file`");
        let both = Typed { json: Some("{}"), words: &words("--width 3"), raw: None };
        assert!(payload(&resize(), &both).unwrap_err().contains("given whole already"));
    }

    #[test]
    fn without_a_schema_everything_is_taken() {
        let free = operation(None);
        assert_eq!(payload(&free, &Typed::default()), Ok(Payload::None));
        let parts = words("--a 1 --b x");
        assert_eq!(
            payload(&free, &Typed { words: &parts, ..Typed::default() }),
            Ok(Payload::Json(r#"{"a":1,"b":"x"}"#.to_owned()))
        );
        let raw = Typed { raw: Some("\0x"), ..Typed::default() };
        assert_eq!(payload(&free, &raw), Ok(Payload::Bytes(b"\0x".to_vec())));
        assert!(payload(&resize(), &raw).unwrap_err().contains("takes JSON"));
        let broken = Typed { json: Some("nonsense"), ..Typed::default() };
        assert!(payload(&free, &broken).unwrap_err().contains("it is not JSON"));
    }

    #[test]
    fn nothing_is_nothing_where_that_fits() {
        let optional = operation(Some(json!({ "type": ["object", "null"], "required": ["a"] })));
        assert_eq!(payload(&optional, &Typed::default()), Ok(Payload::None));
        let free = operation(Some(json!({ "type": "object" })));
        assert_eq!(payload(&free, &Typed::default()), Ok(Payload::Json("{}".to_owned())));
    }
}
