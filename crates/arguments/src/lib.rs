//! An operation's input as command-line arguments: `--width 300 --note "x" --crop` becomes
//! `{"width": 300, "note": "x", "crop": true}`, by the input's JSON Schema.
//!
//! A name may be written `--NAME` or `--input.NAME` (where a command has an option of that name),
//! with its value in the same word after `=` or in the next one; dashes stand for underscores. What
//! is not a scalar is given as JSON. Only names and types are looked at here: whoever takes the
//! input checks it against its schema.

mod property;
pub mod suggest;

use serde_json::{Map, Value};

use self::property::{Property, properties};
use crate::suggest::did_you_mean;

/// One argument, for a help text.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The property's name in the input.
    pub name: String,
    /// What it takes, in words: `integer`, `string`, `small|large`, `@file`.
    pub type_name: String,
    /// The input cannot do without.
    pub required: bool,
    /// What the schema says about it.
    pub description: Option<String>,
    /// What is used where it is left out.
    pub default: Option<Value>,
}

impl Argument {
    /// As it is typed: `--max-width`.
    pub fn flag(&self) -> String {
        flag(&self.name)
    }
}

/// Why words are no input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArgumentError {
    /// The input has no such property.
    #[error("the input has no `{given}`{meant}")]
    Unknown {
        /// The argument as it was given.
        given: String,
        /// The known argument that was probably meant, as the end of a message; or nothing.
        meant: String,
    },
    /// A word that belongs to no argument.
    #[error("`{word}` belongs to no argument: inputs are given as `--NAME VALUE`")]
    Stray { word: String },
    /// The argument is the last word, or another argument follows.
    #[error("`{name}` needs a value: {type_name}")]
    NoValue {
        name: String,
        /// What it takes.
        type_name: String,
    },
    /// The value is not of the argument's type.
    #[error("`{name}` takes {type_name}, not `{value}`")]
    BadValue {
        name: String,
        /// What it takes.
        type_name: String,
        /// What it was given.
        value: String,
    },
    /// It was given before.
    #[error("`{name}` is given twice")]
    Twice { name: String },
    /// The input is no object, so that nothing in it has a name.
    #[error("the input ({type_name}) has no named parts: give it whole, as JSON")]
    NoNames {
        /// What the input is.
        type_name: String,
    },
}

/// The arguments that an input of this schema can be given as, those that it needs first. None, if
/// it is no object.
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

/// The input, an object, that the words say. What is required and left out is not missed here.
pub fn parse(schema: &Value, words: &[String]) -> Result<Value, ArgumentError> {
    let properties = properties(schema);
    let mut input = Map::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let (given, inline) = match word.split_once('=') {
            Some((given, value)) => (given, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let name = given
            .strip_prefix("--")
            .filter(|name| !name.is_empty())
            .ok_or_else(|| ArgumentError::Stray { word: word.clone() })?;
        let property = find(schema, &properties, name)?;
        let accepts = property.accepts(schema);
        let value = match inline {
            Some(value) => value,
            // A boolean takes the next word only where that is one, so that it may stand alone.
            None if accepts.boolean() => match words.peek().map(|next| next.as_str()) {
                Some("true" | "false") => words.next().cloned().unwrap_or_default(),
                _ => "true".to_owned(),
            },
            None => words.next_if(|next| !next.starts_with("--")).cloned().ok_or_else(|| {
                ArgumentError::NoValue { name: given.to_owned(), type_name: accepts.to_string() }
            })?,
        };
        let value = accepts.read(&value).ok_or_else(|| ArgumentError::BadValue {
            name: given.to_owned(),
            type_name: accepts.to_string(),
            value: value.clone(),
        })?;
        if input.insert(property.name.to_owned(), value).is_some() {
            return Err(ArgumentError::Twice { name: given.to_owned() });
        }
    }
    Ok(Value::Object(input))
}

/// The named parts of an input of this schema that are bytes, in base64.
pub fn base64_parts(schema: &Value) -> Vec<&str> {
    let parts = properties(schema).into_iter();
    parts.filter(|property| property.is_base64(schema)).map(|property| property.name).collect()
}

/// What an input of this schema is, in words: `object`, `number or string`, `any JSON`.
pub fn type_name(schema: &Value) -> String {
    property::accepts(schema, schema).to_string()
}

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
        let whole = property::accepts(schema, schema);
        if !whole.object() {
            return Err(ArgumentError::NoNames { type_name: whole.to_string() });
        }
    }
    property::additional(schema, name).ok_or_else(|| {
        let flags: Vec<String> = known.iter().map(|property| flag(property.name)).collect();
        let meant = did_you_mean(&flag(name), flags.iter().map(String::as_str));
        ArgumentError::Unknown { given: format!("--{given}"), meant }
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

    fn parsed(words: &[&str]) -> Result<Value, String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        parse(&schema(), &words).map_err(|error| error.to_string())
    }

    #[test]
    fn every_type() {
        let words = "--width 300 --max-scale=-2 --crop --note 300 --fit fill --tags [\"a\"] \
                     --key 7 --input.extra {\"a\":1}";
        let words: Vec<&str> = words.split_whitespace().collect();
        let expected = json!({"width": 300, "max_scale": -2, "crop": true, "note": "300",
            "fit": "fill", "tags": ["a"], "key": 7, "extra": {"a": 1}});
        assert_eq!(parsed(&words), Ok(expected));
    }

    #[test]
    fn texts_are_what_they_say() {
        for (words, expected) in [
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
            assert_eq!(parsed(words), Ok(expected), "{words:?}");
        }
    }

    #[test]
    fn faults_name_the_argument() {
        for (words, said) in [
            (&["--widht", "1"][..], "the input has no `--widht`: did you mean `--width`?"),
            (&["--zzz", "1"], "the input has no `--zzz`"),
            (&["--width"], "`--width` needs a value: integer"),
            (&["--width", "--crop"], "`--width` needs a value: integer"),
            (&["--width", "wide"], "`--width` takes integer, not `wide`"),
            (&["--width=1.5"], "`--width` takes integer, not `1.5`"),
            (&["--fit", "outsid"], "`--fit` takes inside|outside|fill, not `outsid`"),
            (&["--tags", "a,b"], "`--tags` takes array, not `a,b`"),
            (&["--crop", "--input.crop"], "`--input.crop` is given twice"),
            (&["300"], "`300` belongs to no argument: inputs are given as `--NAME VALUE`"),
            (&["--"], "`--` belongs to no argument: inputs are given as `--NAME VALUE`"),
        ] {
            assert_eq!(parsed(words), Err(said.to_owned()), "{words:?}");
        }
    }

    #[test]
    fn inputs_without_fixed_names() {
        let words = ["--a".to_owned(), "1".to_owned()];
        let map = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        assert_eq!(parse(&map, &words), Ok(json!({"a": 1})));
        let anything = json!({"$schema": "…", "title": "AnyValue"});
        assert_eq!(parse(&anything, &words), Ok(json!({"a": 1})));
        assert!(parse(&json!({"type": "object"}), &words).is_err());
        let error = parse(&json!({"type": ["number", "string"]}), &words).unwrap_err();
        let said = "the input (number or string) has no named parts: give it whole, as JSON";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn arguments_describe_themselves() {
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
