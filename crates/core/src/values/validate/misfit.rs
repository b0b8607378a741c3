//! One fault of a value against its schema, as a phrase: where, what is there, what it is not.

use jsonschema::{
    JsonType, ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
    paths::{Location, LocationSegment},
};
use serde_json::Value;

use rework_arguments::suggest::did_you_mean;

/// Characters of a value that are shown.
const SHOWN_CHARS: usize = 60;

/// The phrase for an error against `schema`.
pub(super) fn describe(error: &ValidationError<'_>, schema: &Value) -> String {
    match error.kind() {
        Kind::Required { property } => {
            format!("missing `{}`{}", plain(property), inside(error.instance_path()))
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unknown(error, unexpected, schema)
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => choice(error, context, schema),
        kind => match short_of(kind) {
            Some(short) => is(error, &short),
            // Rarer keywords speak the library's words, after the place.
            None => format!("{}{error}", before(error.instance_path())),
        },
    }
}

/// What the value is not, for the keywords that are met every day.
fn short_of(kind: &Kind) -> Option<String> {
    Some(match kind {
        Kind::Type { kind } => format!("not {}", any_of(&types(kind))),
        Kind::Enum { options } => match &**options {
            Value::Array(options) => format!("not one of {}", list(options)),
            other => format!("not {}", shown(other)),
        },
        Kind::Constant { expected_value } => format!("not {}", shown(expected_value)),
        Kind::Minimum { limit } => format!("less than {limit}"),
        Kind::Maximum { limit } => format!("more than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("not more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("not less than {limit}"),
        Kind::MinLength { limit } => format!("shorter than {limit}"),
        Kind::MaxLength { limit } => format!("longer than {limit}"),
        Kind::MinItems { limit } => format!("fewer than {limit} items"),
        Kind::MaxItems { limit } => format!("more than {limit} items"),
        Kind::MultipleOf { multiple_of } => format!("not a multiple of {multiple_of}"),
        Kind::Pattern { pattern } => format!("not of the form `{pattern}`"),
        Kind::Format { format } => format!("not in the format `{format}`"),
        Kind::FalseSchema => "and nothing may be there".to_owned(),
        _ => return None,
    })
}

fn is(error: &ValidationError<'_>, short: &str) -> String {
    let place = place(error.instance_path());
    let subject = if place.is_empty() { "it".to_owned() } else { format!("`{place}`") };
    format!("{subject} is {}, {short}", shown(error.instance()))
}

fn unknown(error: &ValidationError<'_>, unexpected: &[String], schema: &Value) -> String {
    let keyword = error.schema_path().as_str();
    let known: Vec<&str> = keyword
        .rsplit_once('/')
        .and_then(|(parent, _)| schema.pointer(parent)?.get("properties")?.as_object())
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let place = inside(error.instance_path());
    let each: Vec<String> = unexpected
        .iter()
        .map(|name| format!("unknown `{name}`{place}{}", did_you_mean(name, known.iter().copied())))
        .collect();
    each.join("; ")
}

/// None of several schemas fits. Where one of them got further into the value than the value's own
/// type, that one was meant and its faults are told; else, what the value might have been.
fn choice(
    error: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> String {
    let at = error.instance_path();
    let wrong_type = |fault: &ValidationError<'_>| {
        fault.instance_path() == at && matches!(fault.kind(), Kind::Type { .. })
    };
    let mut meant = branches.iter().filter(|faults| !faults.iter().any(wrong_type));
    if let (Some(faults), None) = (meant.next(), meant.next()) {
        let told: Vec<String> = faults.iter().map(|fault| describe(fault, schema)).collect();
        return told.join("; ");
    }
    let faults = || branches.iter().flatten();
    if faults().all(wrong_type) {
        let mut names: Vec<JsonType> = Vec::new();
        for kind in faults() {
            if let Kind::Type { kind } = kind.kind() {
                names.extend(types(kind));
            }
        }
        return is(error, &format!("not {}", any_of(&names)));
    }
    let expected: Vec<Value> = faults()
        .filter_map(|fault| match fault.kind() {
            Kind::Constant { expected_value } => Some((**expected_value).clone()),
            _ => None,
        })
        .collect();
    if expected.is_empty() {
        return is(error, "which is none of the forms that it may have");
    }
    is(error, &format!("not one of {}", list(&expected)))
}

fn types(kind: &TypeKind) -> Vec<JsonType> {
    match kind {
        TypeKind::Single(one) => vec![*one],
        TypeKind::Multiple(several) => several.iter().collect(),
    }
}

/// `an integer or null`: null last, since it is what one may leave out.
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
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.join(""),
    }
}

fn list(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(shown).collect();
    texts.join(", ")
}

/// `` in `corners[0]` ``, or nothing for the whole value.
fn inside(location: &Location) -> String {
    let place = place(location);
    if place.is_empty() { place } else { format!(" in `{place}`") }
}

/// `` `corners[0]`: ``, or nothing for the whole value.
fn before(location: &Location) -> String {
    let place = place(location);
    if place.is_empty() { place } else { format!("`{place}`: ") }
}

/// `corners[0].radius`, as one would write it in a program.
fn place(location: &Location) -> String {
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

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The value as JSON, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
