//! Converts command-line arguments to the input of an operation, guided by the JSON Schema of the input.
//!
//! `--width 300 --note "x" --crop` becomes `{"width": 300, "note": "x", "crop": true}`. `rework schedule` uses this,
//! and so do the programs that authors write with the SDK.
//!
//! A property is written `--NAME`, or `--input.NAME` if the command itself has an option of that name. Its value
//! follows after `=` or in the next argument. Dashes may be written for underscores. Arrays and objects are written as
//! JSON. Numbers keep their digits. This crate checks only names and types; the caller validates the input against the
//! whole schema.

mod property;
pub mod suggest;

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use self::property::{Property, properties};
use crate::suggest::did_you_mean;

/// The parts of an input object: the properties by their names, each as JSON. [`serde_json::to_string`] returns them as
/// one object.
pub type Parts = BTreeMap<String, Box<RawValue>>;

/// The description of an argument, for a help text.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The name of the property in the input.
    pub name: String,
    /// The values that the argument takes: `integer`, `string`, `small|large`, `@file`.
    pub type_name: String,
    /// Whether the input must have this property.
    pub required: bool,
    /// The description in the schema. `None` if the schema has none.
    pub description: Option<String>,
    /// The default in the schema. `None` if the schema has none.
    pub default: Option<Value>,
}

impl Argument {
    /// Returns the argument as the user types it: `--max-width`.
    pub fn flag(&self) -> String {
        flag(&self.name)
    }
}

/// The error of arguments that cannot be converted to an input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArgumentError {
    /// The input has no such property.
    #[error("the input has no `{given}`{suggestion}")]
    Unknown {
        /// The argument as the user typed it.
        given: String,
        /// The suggestion that ends the message. Empty if there is none.
        suggestion: String,
    },
    /// A text is neither the name nor the value of an argument.
    #[error("unexpected `{text}`: inputs are given as `--NAME VALUE`")]
    Unexpected { text: String },
    /// The value of an argument is missing: it is the last one, or another argument follows.
    #[error("`{name}` needs a value: {type_name}")]
    NoValue {
        name: String,
        /// The values that the argument takes.
        type_name: String,
    },
    /// The value does not have the type of the argument.
    #[error("`{name}` takes {type_name}, not `{value}`")]
    BadValue {
        name: String,
        /// The values that the argument takes.
        type_name: String,
        value: String,
    },
    /// The argument is given twice.
    #[error("`{name}` is given twice")]
    Repeated { name: String },
    /// The input is not an object, so it has no properties.
    #[error("the input ({type_name}) has no named parts: give it with `--input JSON`")]
    NoNames {
        /// The type of the input.
        type_name: String,
    },
}

/// Returns the arguments for an input of this schema, required ones first. Empty if the input is not an object.
pub fn describe(schema: &Value) -> Vec<Argument> {
    let mut properties = properties(schema);
    properties.sort_by_key(|property| !property.required);
    properties.iter().map(|property| argument(schema, property)).collect()
}

fn argument(schema: &Value, property: &Property) -> Argument {
    Argument {
        name: property.name.to_owned(),
        type_name: if property.is_base64(schema) {
            "@file".to_owned()
        } else {
            property.accepts(schema).to_string()
        },
        required: property.required,
        description: property.text(schema, "description"),
        default: property.schema.get("default").cloned(),
    }
}

/// Converts arguments to the parts of an input.
///
/// Required properties may be missing: the caller validates the input.
///
/// # Errors
///
/// `Err` if an argument is unknown, is repeated, or has no value or one of the wrong type.
///
/// ```
/// let schema = serde_json::json!({"properties": {"width": {"type": "integer"}, "crop": {"type": "boolean"}}});
/// let args = ["--width", "300", "--crop"].map(str::to_owned);
/// let input = rework_arguments::parse(&schema, &args)?;
/// assert_eq!(serde_json::to_string(&input).unwrap(), r#"{"crop":true,"width":300}"#);
/// # Ok::<(), rework_arguments::ArgumentError>(())
/// ```
pub fn parse(schema: &Value, args: &[String]) -> Result<Parts, ArgumentError> {
    let properties = properties(schema);
    let mut input = Parts::new();
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        let (given, inline) = match arg.split_once('=') {
            Some((given, value)) => (given, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let name = given
            .strip_prefix("--")
            .filter(|name| !name.is_empty())
            .ok_or_else(|| unexpected(schema, &properties, arg))?;
        let property = find(schema, &properties, name)?;
        let accepts = property.accepts(schema);
        let value = match inline {
            Some(value) => value,
            // The value of a boolean may be left out: the next argument is its value only if it is `true` or `false`.
            None if accepts.is_flag() => match args.peek().map(|next| next.as_str()) {
                Some("true" | "false") => args.next().cloned().unwrap_or_default(),
                _ => "true".to_owned(),
            },
            None => args.next_if(|next| !next.starts_with("--")).cloned().ok_or_else(|| {
                ArgumentError::NoValue { name: given.to_owned(), type_name: accepts.to_string() }
            })?,
        };
        let value = accepts.parse(&value).ok_or_else(|| ArgumentError::BadValue {
            name: given.to_owned(),
            type_name: accepts.to_string(),
            value: value.clone(),
        })?;
        if input.insert(property.name.to_owned(), value).is_some() {
            return Err(ArgumentError::Repeated { name: given.to_owned() });
        }
    }
    Ok(input)
}

/// Returns the error for a text that is neither the name nor the value of an argument.
fn unexpected(schema: &Value, properties: &[Property<'_>], text: &str) -> ArgumentError {
    let input = property::accepts(schema, schema);
    if properties.is_empty() && !input.may_be_object() {
        return ArgumentError::NoNames { type_name: input.to_string() };
    }
    ArgumentError::Unexpected { text: text.to_owned() }
}

/// Returns the names of the properties that are bytes in base64. A command line may take them from a file (`@file`).
pub fn base64_properties(schema: &Value) -> Vec<&str> {
    let properties = properties(schema).into_iter();
    properties.filter(|property| property.is_base64(schema)).map(|property| property.name).collect()
}

/// Returns the type of an input of this schema for a message: `object`, `number or string`, `any JSON`.
pub fn type_name(schema: &Value) -> String {
    property::accepts(schema, schema).to_string()
}

/// Returns the property that an argument names. `given` is the argument without its leading `--`.
fn find<'a>(
    schema: &'a Value,
    known: &[Property<'a>],
    given: &'a str,
) -> Result<Property<'a>, ArgumentError> {
    let name = given.strip_prefix("input.").unwrap_or(given);
    let by_name = |exact: bool| {
        known.iter().find(|p| {
            p.name == name || !exact && p.name.replace('-', "_") == name.replace('-', "_")
        })
    };
    if let Some(property) = by_name(true).or_else(|| by_name(false)) {
        return Ok(*property);
    }
    if known.is_empty() {
        let input = property::accepts(schema, schema);
        if !input.may_be_object() {
            return Err(ArgumentError::NoNames { type_name: input.to_string() });
        }
    }
    property::additional(schema, name).ok_or_else(|| {
        let flags: Vec<String> = known.iter().map(|property| flag(property.name)).collect();
        let suggestion = did_you_mean(&flag(name), flags.iter().map(String::as_str));
        ArgumentError::Unknown { given: format!("--{given}"), suggestion }
    })
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "width": {"type": "integer", "format": "uint32", "minimum": 0},
                "max_scale": {"type": ["number", "null"], "default": 1.5},
                "crop": {"type": "boolean", "default": false, "description": "Cut the edges."},
                "note": {"type": ["string", "null"]},
                "fit": {"anyOf": [{"$ref": "#/$defs/Fit"}, {"type": "null"}]},
                "tags": {"type": "array", "items": {"type": "string"}},
                "key": {"type": ["integer", "string"]},
                "extra": true
            },
            "required": ["width", "tags"],
            "$defs": {"Fit": {"description": "How it fits.", "oneOf": [
                {"type": "string", "enum": ["inside", "outside"]},
                {"type": "string", "const": "fill", "description": "All of it."}
            ]}}
        })
    }

    fn parsed(args: &[&str]) -> Result<Value, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        parse(&schema(), &args).map(|parts| object(&parts)).map_err(|error| error.to_string())
    }

    fn object(parts: &Parts) -> Value {
        serde_json::to_value(parts).unwrap()
    }

    #[test]
    fn values_of_every_type_are_converted() {
        let args = "--width 300 --max-scale=-2 --crop --note 300 --fit fill --tags [\"a\"] \
                     --key 7 --input.extra {\"a\":1}";
        let args: Vec<&str> = args.split_whitespace().collect();
        let expected = json!({"width": 300, "max_scale": -2, "crop": true, "note": "300",
            "fit": "fill", "tags": ["a"], "key": 7, "extra": {"a": 1}});
        assert_eq!(parsed(&args), Ok(expected));
    }

    #[test]
    fn a_text_is_read_as_the_type_that_the_schema_allows() {
        for (args, expected) in [
            (&["--key", "\"7\""][..], json!({"key": "7"})),
            (&["--key", "seven"], json!({"key": "seven"})),
            (&["--note", "null"], json!({"note": "null"})),
            (&["--note=a=b"], json!({"note": "a=b"})),
            (&["--note", "-x"], json!({"note": "-x"})),
            (&["--note=--x"], json!({"note": "--x"})),
            (&["--max_scale", "null"], json!({"max_scale": null})),
            (&["--crop", "false", "--width", "1"], json!({"crop": false, "width": 1})),
            (&["--extra", "free text"], json!({"extra": "free text"})),
            (&[], json!({})),
        ] {
            assert_eq!(parsed(args), Ok(expected), "{args:?}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (argument, expected) in [
            ("--max-scale=12345678901234567.25", r#"{"max_scale":12345678901234567.25}"#),
            ("--width=12345678901234567890123", r#"{"width":12345678901234567890123}"#),
            ("--max-scale=1e400", r#"{"max_scale":1e400}"#),
            ("--max-scale=-0.10", r#"{"max_scale":-0.10}"#),
            ("--extra=[1.0, 2e0]", r#"{"extra":[1.0, 2e0]}"#),
            ("--fit=fill", r#"{"fit":"fill"}"#),
        ] {
            let parts = parse(&schema(), &[argument.to_owned()]).unwrap();
            assert_eq!(serde_json::to_string(&parts).unwrap(), expected);
        }
        let choice = json!({"properties": {"scale": {"enum": [0.5, 2]}}});
        let parts = parse(&choice, &["--scale=2".to_owned()]).unwrap();
        assert_eq!(serde_json::to_string(&parts).unwrap(), r#"{"scale":2}"#);
        assert!(parse(&choice, &["--scale=3".to_owned()]).is_err());
    }

    #[test]
    fn errors_name_the_argument() {
        for (args, expected) in [
            (&["--widht", "1"][..], "the input has no `--widht`: did you mean `--width`?"),
            (&["--zzz", "1"], "the input has no `--zzz`"),
            (&["--width"], "`--width` needs a value: integer"),
            (&["--width", "--crop"], "`--width` needs a value: integer"),
            (&["--width", "wide"], "`--width` takes integer, not `wide`"),
            (&["--width=1.5"], "`--width` takes integer, not `1.5`"),
            (&["--fit", "outsid"], "`--fit` takes inside|outside|fill, not `outsid`"),
            (&["--tags", "a,b"], "`--tags` takes array, not `a,b`"),
            (&["--crop", "--input.crop"], "`--input.crop` is given twice"),
            (&["300"], "unexpected `300`: inputs are given as `--NAME VALUE`"),
            (&["--"], "unexpected `--`: inputs are given as `--NAME VALUE`"),
        ] {
            assert_eq!(parsed(args), Err(expected.to_owned()), "{args:?}");
        }
    }

    #[test]
    fn an_input_without_fixed_names_takes_any_argument() {
        let args = ["--a".to_owned(), "1".to_owned()];
        let map = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        assert_eq!(object(&parse(&map, &args).unwrap()), json!({"a": 1}));
        let anything = json!({"$schema": "…", "title": "AnyValue"});
        assert_eq!(object(&parse(&anything, &args).unwrap()), json!({"a": 1}));
        assert!(parse(&json!({"type": "object"}), &args).is_err());
        let error = parse(&json!({"type": ["number", "string"]}), &args).unwrap_err();
        let expected =
            "the input (number or string) has no named parts: give it with `--input JSON`";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn arguments_are_described_with_required_ones_first() {
        let arguments = describe(&schema());
        let by_name = |name: &str| arguments.iter().find(|a| a.name == name).unwrap();
        let needed: Vec<_> = arguments[..2].iter().map(|a| (&*a.name, a.required)).collect();
        assert_eq!(needed, [("tags", true), ("width", true)]);
        assert_eq!(arguments.iter().filter(|a| a.required).count(), 2);
        assert_eq!(by_name("max_scale").flag(), "--max-scale");
        assert_eq!(by_name("max_scale").default, Some(json!(1.5)));
        assert_eq!(by_name("crop").description.as_deref(), Some("Cut the edges."));
        assert_eq!(by_name("fit").type_name, "inside|outside|fill");
        assert_eq!(by_name("extra").type_name, "any JSON");
        assert!(describe(&json!({"type": "null"})).is_empty());
    }
}
