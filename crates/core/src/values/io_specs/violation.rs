//! Describes how an input violates specs of `rework.io`, with the same messages as `python/rework/io.py` and
//! `io_types.py`.
//!
//! Values that only Python can interpret (moment expressions, and most notations of times) are not checked here.

use std::cmp::Ordering;

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value};

use super::{SPECS_KEY, Spec, ValueType, isoformat, repr};

/// Base64 as Python's `b64decode` accepts it: unused bits at the end are ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Returns a message about the first violation in an input: the declared inputs in their order, then unknown names.
///
/// Returns `None` if the schema was not created from specs, or if no message applies.
pub fn first_violation(schema: &Value, input: &Value) -> Option<String> {
    let specs = Spec::all(schema.get(SPECS_KEY)?).ok()?;
    let empty = Map::new();
    let given = match input {
        Value::Null => &empty,
        Value::Object(given) => given,
        other => return Some(not_a_dict(&specs, other)),
    };
    let violation_of = |spec: &Spec| spec.violation(given.get(&spec.name).unwrap_or(&Value::Null));
    specs.iter().find_map(violation_of).or_else(|| unknown_names(&specs, given))
}

fn not_a_dict(specs: &[Spec], input: &Value) -> String {
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let all = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let python_type = match input {
        Value::Array(_) => "a list",
        Value::String(_) => "a str",
        Value::Bool(_) => "a bool",
        Value::Number(number) if !number.is_f64() => "an int",
        _ => "a float",
    };
    format!("the inputs are {python_type}: pass a dict of {all}")
}

fn unknown_names(specs: &[Spec], given: &Map<String, Value>) -> Option<String> {
    let known = |name: &str| specs.iter().any(|spec| spec.name == name);
    let mut names: Vec<&str> =
        given.keys().map(String::as_str).filter(|name| !known(name)).collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| format!("unknown inputs: {}", names.join(",")))
}

impl Spec {
    /// Returns a message if `value` violates this spec, otherwise `None`; `None` also if only
    /// Python can decide or describe it. Null stands for an input that was left out.
    fn violation(&self, value: &Value) -> Option<String> {
        if value.is_null() {
            let missing = self.required && self.default.is_none();
            return missing.then(|| format!("missing required input: `{}`", self.name));
        }
        if let Some(choices) = &self.choices
            && choices.iter().all(|choice| self.value_type.is_equal(value, choice) == Some(false))
        {
            let choices: Option<Vec<String>> =
                choices.iter().map(|choice| self.value_type.repr(choice)).collect();
            let (name, choices) = (&self.name, choices?.join(", "));
            return Some(format!("{name} -> value not in [{choices}]"));
        }
        let expected = self.value_type.expected_instead_of(value)?;
        Some(format!("value `{}` is not {expected}", repr::shortened(value)))
    }
}

impl ValueType {
    /// Returns whether a value equals a choice, by Python's rules. `None` if only Python can decide.
    fn is_equal(self, value: &Value, choice: &Value) -> Option<bool> {
        match self {
            ValueType::File => Some(bytes(value) == bytes(choice) && bytes(value).is_some()),
            ValueType::Datetime if value.is_string() => Some(time(value)?.is_equal(time(choice)?)),
            _ => match (number(value), number(choice)) {
                (Some(value), Some(choice)) => {
                    Some(value.partial_cmp(&choice) == Some(Ordering::Equal))
                }
                _ => Some(value == choice),
            },
        }
    }

    /// Returns Python's `repr` of a choice. `None` if only Python can interpret the choice.
    fn repr(self, choice: &Value) -> Option<String> {
        match self {
            ValueType::File => Some(repr::bytes(&bytes(choice)?)),
            ValueType::Datetime => {
                time(choice).map(|Time { local, offset }| repr::time(local, offset))
            }
            _ => Some(repr::full(choice)),
        }
    }

    /// Returns a name of this type for a message, or `None` if `value` has this type. Does not check choices.
    fn expected_instead_of(self, value: &Value) -> Option<&'static str> {
        let (fits, expected) = match self {
            ValueType::String => (value.is_string(), "a string"),
            ValueType::Number => (value.is_number(), "a number"),
            // Python also accepts 0 and 1.
            ValueType::Boolean => {
                (value.is_boolean() || matches!(value.as_u64(), Some(0 | 1)), "a boolean")
            }
            ValueType::Datetime => (value.is_string(), "str/datetime"),
            ValueType::Moment => (value.is_string(), "a valid moment expression"),
            ValueType::File => (bytes(value).is_some(), "bytes"),
        };
        (!fits).then_some(expected)
    }
}

/// Returns the value as the number with which Python compares it. `None` if it is neither a number
/// nor a boolean. In Python, `True` equals 1 and `False` equals 0.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|is| f64::from(u8::from(is))))
}

/// Decodes a base64 string. White space in it is ignored. `None` if the value is not base64.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text: String = value.as_str()?.split_whitespace().collect();
    BASE64.decode(text).ok()
}

/// A `datetime` of Python.
#[derive(Debug, Clone, Copy)]
struct Time {
    local: NaiveDateTime,
    /// The offset from UTC in seconds, positive to the east. `None` if the time has no zone.
    offset: Option<i32>,
}

impl Time {
    /// Returns whether Python regards the two as equal: a time with a zone never equals one without.
    fn is_equal(self, other: Time) -> bool {
        let instant = |time: Time| {
            time.local.and_utc().timestamp_micros()
                - i64::from(time.offset.unwrap_or(0)) * 1_000_000
        };
        self.offset.is_some() == other.offset.is_some() && instant(self) == instant(other)
    }
}

/// Parses a time in ISO format. `None` for all other notations, which only Python reads.
fn time(value: &Value) -> Option<Time> {
    let text = isoformat(value.as_str()?);
    if let Ok(local) = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f") {
        return Some(Time { local, offset: None });
    }
    let zoned = DateTime::parse_from_rfc3339(&text).ok()?;
    Some(Time { local: zoned.naive_local(), offset: Some(zoned.offset().local_minus_utc()) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn typed() -> Value {
        let specs = json!([
            { "name": "f", "type": "file", "required": true },
            { "name": "n", "type": "number", "required": true, "default": 42 },
            { "name": "s", "type": "string", "choices": ["a", "it's"] },
            { "name": "d", "type": "datetime" },
            { "name": "b", "type": "boolean" },
            { "name": "m", "type": "moment" },
        ]);
        Spec::schema(&Spec::all(&specs).unwrap())
    }

    fn violation_of(kind: &str, choices: &Value, value: &Value) -> Option<String> {
        let specs = json!([{ "name": "x", "type": kind, "choices": choices }]);
        first_violation(&json!({ SPECS_KEY: specs }), &json!({ "x": value }))
    }

    #[test]
    fn the_first_violation_is_described() {
        for (input, expected) in [
            (json!(null), "missing required input: `f`"),
            (json!({ "z": 1, "q": 2 }), "missing required input: `f`"),
            (json!({ "f": null }), "missing required input: `f`"),
            (json!({ "f": "aGk=", "z": 1, "q": null }), "unknown inputs: q,z"),
            (json!({ "f": "aGk=", "n": "3", "s": "c" }), "value `'3'` is not a number"),
            (json!({ "f": "aGk=", "s": "c" }), r#"s -> value not in ['a', "it's"]"#),
            (json!({ "f": "aGk=", "s": 3 }), r#"s -> value not in ['a', "it's"]"#),
            (json!([1]), "the inputs are a list: pass a dict of f, n, s, d, b, m"),
            (json!(1), "the inputs are an int: pass a dict of f, n, s, d, b, m"),
        ] {
            assert_eq!(first_violation(&typed(), &input).as_deref(), Some(expected), "{input}");
        }
        let nothing = Spec::schema(&[]);
        let message = first_violation(&nothing, &json!("x"));
        assert_eq!(message.as_deref(), Some("the inputs are a str: pass a dict of nothing"));
    }

    #[test]
    fn a_value_of_another_type_is_a_violation() {
        for (kind, value, expected) in [
            ("string", json!(1.0), "value `1.0` is not a string"),
            ("number", json!(true), "value `True` is not a number"),
            ("boolean", json!(2), "value `2` is not a boolean"),
            ("boolean", json!(1.0), "value `1.0` is not a boolean"),
            ("datetime", json!([1, null]), "value `[1, None]` is not str/datetime"),
            ("moment", json!(7), "value `7` is not a valid moment expression"),
            ("file", json!({ "a": "b" }), "value `{'a': 'b'}` is not bytes"),
            ("file", json!("no base64!"), "value `'no base64!'` is not bytes"),
        ] {
            assert_eq!(
                violation_of(kind, &json!(null), &value).as_deref(),
                Some(expected),
                "{kind} {value}"
            );
        }
    }

    #[test]
    fn a_valid_or_unchecked_value_is_not_a_violation() {
        for (kind, value) in [
            ("string", json!("")),
            ("number", json!(-1.5)),
            ("boolean", json!(1)),
            ("datetime", json!("someday")),
            ("moment", json!("lol")),
            ("file", json!("aGk=\n")),
            ("file", json!("")),
        ] {
            assert_eq!(violation_of(kind, &json!([]), &value), None, "{kind} {value}");
        }
        assert_eq!(first_violation(&json!({ "type": "object" }), &json!(1)), None);
        assert_eq!(first_violation(&json!({ SPECS_KEY: 7 }), &json!(1)), None);
        assert_eq!(first_violation(&json!(true), &json!(1)), None);
    }

    #[test]
    fn choices_are_compared_and_shown_as_python_does() {
        let days = json!(["1973-05-20T00:00:00", "1973-05-20T09:00:00+02:00"]);
        let files = json!(["aGk=", "AA=="]);
        for (kind, choices, value, expected) in [
            ("number", &json!([1, 2.5]), json!(3), Some("[1, 2.5]")),
            ("number", &json!([1, 2.5]), json!(1.0), None),
            ("boolean", &json!([true]), json!(1), None),
            ("boolean", &json!([true]), json!(false), Some("[True]")),
            ("datetime", &days, json!("1973-5-20"), None),
            ("datetime", &days, json!("1973-05-20T07:00:00Z"), None),
            ("datetime", &days, json!("20 May 1973"), None),
            (
                "datetime",
                &days,
                json!("1973-05-21"),
                Some(
                    "[datetime.datetime(1973, 5, 20, 0, 0), datetime.datetime(1973, 5, 20, 9, 0, \
                     tzinfo=datetime.timezone(datetime.timedelta(seconds=7200)))]",
                ),
            ),
            ("file", &files, json!("aGk="), None),
            ("file", &files, json!("hi!"), Some(r"[b'hi', b'\x00']")),
        ] {
            let expected = expected.map(|list| format!("x -> value not in {list}"));
            assert_eq!(violation_of(kind, choices, &value), expected, "{kind} {value}");
        }
    }
}
