//! Converts an input that the Python `rework` has stored to an input of our database: JSON or bytes.
//!
//! A packed input becomes JSON, with the types that the operation declares. A pickle is refused: unpickling runs any
//! code that the pickle names.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Number;

use super::unpack::{is_packed, unpack};
use rework_core::{
    task::payload::Payload,
    values::io_specs::{Spec, ValueType},
};

/// Number of characters of a value that a reason shows, so that it fits in a line.
const MAX_CHARS: usize = 40;

/// Converts the stored input of a task. `specs` are the declared inputs of its operation.
///
/// `Err` with a reason if the input cannot be imported.
pub(super) fn convert_input(
    specs: Option<&[Spec]>,
    stored: Option<&[u8]>,
) -> Result<Payload, String> {
    let Some(stored) = stored else { return Ok(Payload::None) };
    match specs {
        Some(specs) if is_packed(stored) => {
            let fields = unpack(stored).map_err(|error| format!("its input {error}"))?;
            object(specs, &fields).map(Payload::Json)
        }
        _ if is_pickle(stored) => {
            Err("its input is pickled, and nothing is ever unpickled here".to_owned())
        }
        _ => Ok(Payload::Bytes(stored.to_vec())),
    }
}

/// Returns whether bytes look like a pickle. The Python rework uses protocol 2; the protocols 3 to 5 are recognised
/// too. A pickle starts with 0x80 and its protocol, and ends with a dot.
fn is_pickle(stored: &[u8]) -> bool {
    matches!(stored, [0x80, 2..=5, .., b'.'])
}

/// Returns a JSON object as text. It is not built from parsed numbers, so that numbers keep all their digits.
fn object(specs: &[Spec], fields: &[(String, Vec<u8>)]) -> Result<String, String> {
    let mut members = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let spec = specs.iter().find(|spec| spec.name == *name);
        let spec = spec.ok_or_else(|| {
            format!("its input has a `{}`, which its operation does not declare", shortened(name))
        })?;
        let value =
            json(spec.value_type, value).map_err(|why| format!("its input `{name}` {why}"))?;
        members.push(format!("{}:{value}", quoted(name)));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// Converts a packed value to JSON text. `Err` with the end of a phrase, such as `is not UTF-8`.
fn json(value_type: ValueType, value: &[u8]) -> Result<String, String> {
    if value_type == ValueType::File {
        return Ok(quoted(&BASE64_STANDARD.encode(value)));
    }
    let text = std::str::from_utf8(value).map_err(|_| "is not UTF-8".to_owned())?;
    match value_type {
        ValueType::Number => match serde_json::from_str::<Number>(text) {
            Ok(_) => Ok(text.trim().to_owned()),
            Err(_) => Err(format!("is `{}`, which is not a number in JSON", shortened(text))),
        },
        ValueType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok("true".to_owned()),
            "false" | "0" => Ok("false".to_owned()),
            _ => Err(format!("is `{}`, neither true nor false", shortened(text))),
        },
        ValueType::String | ValueType::Datetime | ValueType::Moment | ValueType::File => {
            Ok(quoted(text))
        }
    }
}

/// Returns a text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a text, cut after [`MAX_CHARS`] characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::unpack::tests::pack, *};

    fn specs() -> Vec<Spec> {
        let kinds = ["string", "number", "boolean", "datetime", "moment", "file"];
        let specs: Vec<Value> =
            kinds.iter().map(|kind| json!({ "name": kind, "type": kind })).collect();
        Spec::all(&specs.into()).unwrap()
    }

    fn converted(fields: &[(&str, &[u8])]) -> Result<String, String> {
        match convert_input(Some(&specs()), Some(&pack(fields)))? {
            Payload::Json(text) => Ok(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_of_every_type_are_converted() {
        let fields: [(&str, &[u8]); 6] = [
            ("string", "h\"é\n".as_bytes()),
            ("number", b"1180591620717411303424"),
            ("boolean", b"True"),
            ("datetime", b"1973-05-20T09:00:00"),
            ("moment", b"(shifted (today) #:days -1)"),
            ("file", b"\0\xff"),
        ];
        assert_eq!(
            converted(&fields).unwrap(),
            r#"{"string":"h\"é\n","number":1180591620717411303424,"boolean":true,"datetime":"1973-05-20T09:00:00","moment":"(shifted (today) #:days -1)","file":"AP8="}"#
        );
        assert_eq!(converted(&[]).unwrap(), "{}");
        for (number, expected) in
            [("42", "42"), ("-0.5", "-0.5"), ("1e+16", "1e+16"), ("1e-05", "1e-05")]
        {
            let expected = format!("{{\"number\":{expected}}}");
            assert_eq!(converted(&[("number", number.as_bytes())]), Ok(expected));
        }
        for (written, value) in [("False", "false"), ("0", "false"), ("1", "true")] {
            let expected = format!("{{\"boolean\":{value}}}");
            assert_eq!(converted(&[("boolean", written.as_bytes())]), Ok(expected));
        }
    }

    #[test]
    fn the_reason_names_a_value_that_cannot_be_converted() {
        for ((name, value), why) in [
            (
                ("number", b"True".as_slice()),
                "its input `number` is `True`, which is not a number in JSON",
            ),
            (("number", b"inf"), "its input `number` is `inf`, which is not a number in JSON"),
            (("boolean", b"2"), "its input `boolean` is `2`, neither true nor false"),
            (("string", b"\xff"), "its input `string` is not UTF-8"),
            (("other", b"x"), "its input has a `other`, which its operation does not declare"),
        ] {
            assert_eq!(converted(&[(name, value)]).unwrap_err(), why);
        }
        let long = converted(&[("number", &[b'x'; 1000])]).unwrap_err();
        assert!(long.contains("xx…`") && long.len() < 120, "{long}");
        let cut = &pack(&[("number", b"42")])[..12];
        let reason = convert_input(Some(&specs()), Some(cut)).unwrap_err();
        assert!(reason.starts_with("its input is damaged: "), "{reason}");
    }

    #[test]
    fn a_pickle_is_refused_and_other_bytes_are_kept() {
        let pickles: [&[u8]; 4] =
            [b"\x80\x02K*.", b"\x80\x02N.", b"\x80\x04\x95\0.", b"\x80\x05K\x01."];
        for pickle in pickles {
            for specs in [None, Some(specs())] {
                let reason = convert_input(specs.as_deref(), Some(pickle)).unwrap_err();
                assert!(reason.contains("pickled"), "{reason}");
            }
        }
        let others: [&[u8]; 6] =
            [b"", b"\x80", b"\x80.", b"\x80\x02K*", b"(\xb5/\xfd", b"some bytes."];
        for bytes in others {
            assert_eq!(convert_input(None, Some(bytes)), Ok(Payload::Bytes(bytes.to_vec())));
        }
        assert_eq!(convert_input(None, None), Ok(Payload::None));
        assert_eq!(convert_input(Some(&specs()), None), Ok(Payload::None));
    }
}
