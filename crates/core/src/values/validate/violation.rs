//! Describes one violation of a JSON Schema as a phrase: the part of the value, what it is, and what it is not.

use jsonschema::{
    JsonType, ValidationError,
    error::{TypeKind, ValidationErrorKind as ErrorKind},
    paths::{Location, LocationSegment},
};
use serde_json::Value;

use crate::values::json::Json;
use rework_arguments::suggest::did_you_mean;

/// Number of characters of a value that a phrase shows, so that it fits in a line.
const MAX_CHARS: usize = 60;

/// Returns the phrase for an error of validating `value` against `schema`. `value` is `None` if the error is one of the
/// schema itself.
pub(super) fn describe(
    error: &ValidationError<'_>,
    schema: &Value,
    value: Option<&Json>,
) -> String {
    match error.kind() {
        ErrorKind::Required { property } => {
            format!("missing `{}`{}", unquoted(property), inside(error.instance_path()))
        }
        ErrorKind::AdditionalProperties { unexpected }
        | ErrorKind::UnevaluatedProperties { unexpected } => {
            unknown_properties(error, unexpected, schema)
        }
        ErrorKind::AnyOf { context } | ErrorKind::OneOfNotValid { context } => {
            no_alternative(error, context, schema, value)
        }
        kind => match expectation(kind) {
            Some(expected) => value_is(error, value, &expected),
            // Rare keywords: the library's message.
            None => format!("{}{error}", prefix(error.instance_path())),
        },
    }
}

/// Returns what the value was expected to be, for the common keywords: `not an integer`,
/// `less than 1`. `None` for other keywords.
fn expectation(kind: &ErrorKind) -> Option<String> {
    Some(match kind {
        ErrorKind::Type { kind } => format!("not {}", any_of(&types(kind))),
        ErrorKind::Enum { options } => match &**options {
            Value::Array(options) => format!("not one of {}", list(options)),
            other => format!("not {}", shortened(other)),
        },
        ErrorKind::Constant { expected_value } => format!("not {}", shortened(expected_value)),
        ErrorKind::Minimum { limit } => format!("less than {limit}"),
        ErrorKind::Maximum { limit } => format!("more than {limit}"),
        ErrorKind::ExclusiveMinimum { limit } => format!("not more than {limit}"),
        ErrorKind::ExclusiveMaximum { limit } => format!("not less than {limit}"),
        ErrorKind::MinLength { limit } => format!("shorter than {limit}"),
        ErrorKind::MaxLength { limit } => format!("longer than {limit}"),
        ErrorKind::MinItems { limit } => format!("fewer than {limit} items"),
        ErrorKind::MaxItems { limit } => format!("more than {limit} items"),
        ErrorKind::MultipleOf { multiple_of } => format!("not a multiple of {multiple_of}"),
        ErrorKind::Pattern { pattern } => format!("not of the form `{pattern}`"),
        ErrorKind::Format { format } => format!("not in the format `{format}`"),
        ErrorKind::FalseSchema => "but nothing is allowed there".to_owned(),
        _ => return None,
    })
}

/// Returns the phrase `` `width` is "wide", not an integer ``. Numbers are shown as they were written.
fn value_is(error: &ValidationError<'_>, value: Option<&Json>, expected: &str) -> String {
    let path = path(error.instance_path());
    let subject = if path.is_empty() { "it".to_owned() } else { format!("`{path}`") };
    // Some errors are about the name of a property. Their location is that of its object.
    let part = value
        .and_then(|value| part_at(value, error.instance_path()))
        .filter(|part| part.to_value() == **error.instance());
    let shown = part.map_or_else(|| shortened(error.instance()), |part| cut(&part.text()));
    format!("{subject} is {shown}, {expected}")
}

/// Returns the part of a value at a location. `None` if there is none.
fn part_at<'a>(value: &'a Json, location: &Location) -> Option<&'a Json> {
    location.segments().try_fold(value, |part, segment| match (part, segment) {
        (Json::Object(members), LocationSegment::Property(name)) => members.get(&*name),
        (Json::Object(members), LocationSegment::Index(index)) => members.get(&index.to_string()),
        (Json::Array(items), LocationSegment::Index(index)) => items.get(index),
        _ => None,
    })
}

/// Returns the phrase for properties that the schema does not allow, each with the known one that was probably meant.
fn unknown_properties(
    error: &ValidationError<'_>,
    unexpected: &[String],
    schema: &Value,
) -> String {
    let keyword = error.schema_path().as_str();
    let known: Vec<&str> = keyword
        .rsplit_once('/')
        .and_then(|(parent, _)| schema.pointer(parent)?.get("properties")?.as_object())
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let inside = inside(error.instance_path());
    let each: Vec<String> = unexpected
        .iter()
        .map(|name| {
            format!("unknown `{name}`{inside}{}", did_you_mean(name, known.iter().copied()))
        })
        .collect();
    each.join("; ")
}

/// Returns the phrase for a value that fits none of several alternatives (`anyOf`, `oneOf`).
///
/// If the type of the value fits exactly one alternative, that one was probably meant, and its violations are
/// described. Otherwise the phrase lists the possible types or constants.
fn no_alternative(
    error: &ValidationError<'_>,
    alternatives: &[Vec<ValidationError<'static>>],
    schema: &Value,
    value: Option<&Json>,
) -> String {
    let at = error.instance_path();
    let is_wrong_type = |error: &ValidationError<'_>| {
        error.instance_path() == at && matches!(error.kind(), ErrorKind::Type { .. })
    };
    let mut candidates = alternatives.iter().filter(|errors| !errors.iter().any(is_wrong_type));
    if let (Some(errors), None) = (candidates.next(), candidates.next()) {
        let phrases: Vec<String> =
            errors.iter().map(|error| describe(error, schema, value)).collect();
        return phrases.join("; ");
    }
    let errors = || alternatives.iter().flatten();
    if errors().all(is_wrong_type) {
        let mut names: Vec<JsonType> = Vec::new();
        for error in errors() {
            if let ErrorKind::Type { kind } = error.kind() {
                names.extend(types(kind));
            }
        }
        return value_is(error, value, &format!("not {}", any_of(&names)));
    }
    let expected: Vec<Value> = errors()
        .filter_map(|error| match error.kind() {
            ErrorKind::Constant { expected_value } => Some((**expected_value).clone()),
            _ => None,
        })
        .collect();
    if expected.is_empty() {
        return value_is(error, value, "which matches none of the allowed alternatives");
    }
    value_is(error, value, &format!("not one of {}", list(&expected)))
}

fn types(kind: &TypeKind) -> Vec<JsonType> {
    match kind {
        TypeKind::Single(one) => vec![*one],
        TypeKind::Multiple(several) => several.iter().collect(),
    }
}

/// Lists types as `an integer or null`. Null comes last, because it usually means that the value may be left out.
fn any_of(types: &[JsonType]) -> String {
    let (nulls, others): (Vec<JsonType>, Vec<JsonType>) =
        types.iter().partition(|one| **one == JsonType::Null);
    let names: Vec<&str> = others
        .iter()
        .chain(nulls.first())
        .map(|kind| match kind {
            JsonType::Null => "null",
            JsonType::Boolean => "a boolean",
            JsonType::Integer => "an integer",
            JsonType::Number => "a number",
            JsonType::String => "a string",
            JsonType::Array => "an array",
            JsonType::Object => "an object",
        })
        .collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.join(""),
    }
}

fn list(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(shortened).collect();
    texts.join(", ")
}

/// Returns `` in `corners[0]` ``, or an empty text for the whole value.
fn inside(location: &Location) -> String {
    let path = path(location);
    if path.is_empty() { path } else { format!(" in `{path}`") }
}

/// Returns `` `corners[0]`: ``, or an empty text for the whole value.
fn prefix(location: &Location) -> String {
    let path = path(location);
    if path.is_empty() { path } else { format!("`{path}`: ") }
}

/// Returns a location as an expression of a program: `corners[0].radius`.
fn path(location: &Location) -> String {
    let mut text = String::new();
    for segment in location.segments() {
        match segment {
            LocationSegment::Property(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&name);
            }
            LocationSegment::Index(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    text
}

/// Returns the value as text, a string without its quotes.
fn unquoted(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the value as JSON, cut after [`MAX_CHARS`] characters.
fn shortened(value: &Value) -> String {
    cut(&value.to_string())
}

/// Cuts a text after [`MAX_CHARS`] characters.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
