//! What is wrong with an input that `rework.io` declares, in the sentences by which `python/rework/io.py` and
//! `io_types.py` tell it. What only Python can read (most texts of times, moments) is not judged here.

use std::cmp::Ordering;

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value};

use super::{Kind, SPECS_KEY, Spec, isoformat, repr};

/// As Python's `b64decode` takes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The first fault of an input: those of each declared name in turn, then the unknown names. None: the schema is not
/// one of `rework.io`, or none of the sentences applies.
pub fn fault(schema: &Value, input: &Value) -> Option<String> {
    let specs = Spec::all(schema.get(SPECS_KEY)?).ok()?;
    let nothing = Map::new();
    let given = match input {
        Value::Null => &nothing,
        Value::Object(given) => given,
        other => return Some(no_dict(&specs, other)),
    };
    let of = |spec: &Spec| spec.fault(given.get(&spec.name).unwrap_or(&Value::Null));
    specs.iter().find_map(of).or_else(|| unknown(&specs, given))
}

fn no_dict(specs: &[Spec], input: &Value) -> String {
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let all = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let kind = match input {
        Value::Array(_) => "a list",
        Value::String(_) => "a str",
        Value::Bool(_) => "a bool",
        Value::Number(number) if !number.is_f64() => "an int",
        _ => "a float",
    };
    format!("the inputs are {kind}: pass a dict of {all}")
}

fn unknown(specs: &[Spec], given: &Map<String, Value>) -> Option<String> {
    let known = |name: &str| specs.iter().any(|spec| spec.name == name);
    let mut names: Vec<&str> =
        given.keys().map(String::as_str).filter(|name| !known(name)).collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| format!("unknown inputs: {}", names.join(",")))
}

impl Spec {
    /// What is wrong with its value; null is one that is not given.
    fn fault(&self, value: &Value) -> Option<String> {
        if value.is_null() {
            let missing = self.required && self.default.is_none();
            return missing.then(|| format!("missing required input: `{}`", self.name));
        }
        if let Some(choices) = &self.choices
            && choices.iter().all(|choice| self.kind.same(value, choice) == Some(false))
        {
            let choices: Option<Vec<String>> =
                choices.iter().map(|choice| self.kind.repr(choice)).collect();
            let (name, choices) = (&self.name, choices?.join(", "));
            return Some(format!("{name} -> value not in [{choices}]"));
        }
        let wanted = self.kind.refuses(value)?;
        Some(format!("value `{}` is not {wanted}", repr::shown(value)))
    }
}

impl Kind {
    /// Whether a value is a choice, as Python compares what they stand for; none: that is not known.
    fn same(self, value: &Value, choice: &Value) -> Option<bool> {
        match self {
            Kind::File => Some(bytes(value) == bytes(choice) && bytes(value).is_some()),
            Kind::Datetime if value.is_string() => Some(time(value)?.same(time(choice)?)),
            _ => match (number(value), number(choice)) {
                (Some(value), Some(choice)) => {
                    Some(value.partial_cmp(&choice) == Some(Ordering::Equal))
                }
                _ => Some(value == choice),
            },
        }
    }

    /// A choice, as Python holds it and shows it.
    fn repr(self, choice: &Value) -> Option<String> {
        match self {
            Kind::File => Some(repr::bytes(&bytes(choice)?)),
            Kind::Datetime => time(choice).map(|Time { local, offset }| repr::time(local, offset)),
            _ => Some(repr::whole(choice)),
        }
    }

    /// What a value had to be, if it is not; the choices have been looked at.
    fn refuses(self, value: &Value) -> Option<&'static str> {
        let (fits, wanted) = match self {
            Kind::String => (value.is_string(), "a string"),
            Kind::Number => (value.is_number(), "a number"),
            // The numbers stand for false and true.
            Kind::Boolean => {
                (value.is_boolean() || matches!(value.as_u64(), Some(0 | 1)), "a boolean")
            }
            Kind::Datetime => (value.is_string(), "str/datetime"),
            Kind::Moment => (value.is_string(), "a valid moment expression"),
            Kind::File => (bytes(value).is_some(), "bytes"),
        };
        (!fits).then_some(wanted)
    }
}

/// To Python, a bool is a number.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|is| f64::from(u8::from(is))))
}

/// What a base64 text stands for; blanks and line ends in it do not count.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text: String = value.as_str()?.split_whitespace().collect();
    BASE64.decode(text).ok()
}

/// A datetime of Python.
#[derive(Debug, Clone, Copy)]
struct Time {
    local: NaiveDateTime,
    /// Seconds east, if it has a zone.
    offset: Option<i32>,
}

impl Time {
    /// Whether Python has them as equal.
    fn same(self, other: Time) -> bool {
        let instant = |time: Time| {
            time.local.and_utc().timestamp_micros()
                - i64::from(time.offset.unwrap_or(0)) * 1_000_000
        };
        self.offset.is_some() == other.offset.is_some() && instant(self) == instant(other)
    }
}

/// The time that a text tells, if it is written as programs write it.
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

    fn of(kind: &str, choices: &Value, value: &Value) -> Option<String> {
        let specs = json!([{ "name": "x", "type": kind, "choices": choices }]);
        fault(&json!({ SPECS_KEY: specs }), &json!({ "x": value }))
    }

    #[test]
    fn the_first_fault_is_told() {
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
            assert_eq!(fault(&typed(), &input).as_deref(), Some(expected), "{input}");
        }
        let nothing = Spec::schema(&[]);
        let said = fault(&nothing, &json!("x"));
        assert_eq!(said.as_deref(), Some("the inputs are a str: pass a dict of nothing"));
    }

    #[test]
    fn a_value_of_another_type_is_told() {
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
            assert_eq!(of(kind, &json!(null), &value).as_deref(), Some(expected), "{kind} {value}");
        }
    }

    #[test]
    fn what_is_right_or_not_judged_has_no_sentence() {
        for (kind, value) in [
            ("string", json!("")),
            ("number", json!(-1.5)),
            ("boolean", json!(1)),
            ("datetime", json!("someday")),
            ("moment", json!("lol")),
            ("file", json!("aGk=\n")),
            ("file", json!("")),
        ] {
            assert_eq!(of(kind, &json!([]), &value), None, "{kind} {value}");
        }
        assert_eq!(fault(&json!({ "type": "object" }), &json!(1)), None);
        assert_eq!(fault(&json!({ SPECS_KEY: 7 }), &json!(1)), None);
        assert_eq!(fault(&json!(true), &json!(1)), None);
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
            assert_eq!(of(kind, choices, &value), expected, "{kind} {value}");
        }
    }
}
