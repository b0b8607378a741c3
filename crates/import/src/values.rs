//! What the Python `rework` keeps as an input becomes what is kept here: JSON by the operation's declaration, or
//! bytes. A pickle stays one: to read it is to run whatever code it names.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Number;

use super::packed::{is_packed, unpack};
use rework_core::{
    task::payload::Payload,
    values::io_specs::{Kind, Spec},
};

/// Most characters of a value that a reason shows.
const SHOWN: usize = 40;

/// The input of a task, or why it cannot be carried over.
pub(super) fn payload(specs: Option<&[Spec]>, kept: Option<&[u8]>) -> Result<Payload, String> {
    let Some(kept) = kept else { return Ok(Payload::None) };
    match specs {
        Some(specs) if is_packed(kept) => {
            let fields = unpack(kept).map_err(|fault| format!("its input {fault}"))?;
            object(specs, &fields).map(Payload::Json)
        }
        _ if is_pickle(kept) => {
            Err("its input is pickled, and nothing is ever unpickled here".to_owned())
        }
        _ => Ok(Payload::Bytes(kept.to_vec())),
    }
}

/// Whether these are the first and last bytes of a pickle: of protocol 2, by which inputs are kept, or of one that
/// came after it.
fn is_pickle(kept: &[u8]) -> bool {
    matches!(kept, [0x80, 2..=5, .., b'.'])
}

/// The text of an object. Numbers stay as they are written, however many digits they have.
fn object(specs: &[Spec], fields: &[(String, Vec<u8>)]) -> Result<String, String> {
    let mut members = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let spec = specs.iter().find(|spec| spec.name == *name);
        let spec = spec.ok_or_else(|| {
            format!("its input has a `{}`, which its operation does not declare", shown(name))
        })?;
        let value = json(spec.kind, value).map_err(|why| format!("its input `{name}` {why}"))?;
        members.push(format!("{}:{value}", quoted(name)));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// One value as JSON text, or what is wrong with it.
fn json(kind: Kind, value: &[u8]) -> Result<String, String> {
    if kind == Kind::File {
        return Ok(quoted(&BASE64_STANDARD.encode(value)));
    }
    let text = std::str::from_utf8(value).map_err(|_| "is not UTF-8".to_owned())?;
    match kind {
        Kind::Number => match serde_json::from_str::<Number>(text) {
            Ok(_) => Ok(text.trim().to_owned()),
            Err(_) => Err(format!("is `{}`, which is no number in JSON", shown(text))),
        },
        Kind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok("true".to_owned()),
            "false" | "0" => Ok("false".to_owned()),
            _ => Err(format!("is `{}`, neither true nor false", shown(text))),
        },
        Kind::String | Kind::Datetime | Kind::Moment | Kind::File => Ok(quoted(text)),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::packed::tests::pack, *};

    fn specs() -> Vec<Spec> {
        let kinds = ["string", "number", "boolean", "datetime", "moment", "file"];
        let specs: Vec<Value> =
            kinds.iter().map(|kind| json!({ "name": kind, "type": kind })).collect();
        Spec::all(&specs.into()).unwrap()
    }

    fn given(fields: &[(&str, &[u8])]) -> Result<String, String> {
        match payload(Some(&specs()), Some(&pack(fields)))? {
            Payload::Json(text) => Ok(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_of_every_type() {
        let fields: [(&str, &[u8]); 6] = [
            ("string", "h\"é\n".as_bytes()),
            ("number", b"1180591620717411303424"),
            ("boolean", b"True"),
            ("datetime", b"1973-05-20T09:00:00"),
            ("moment", b"(shifted (today) #:days -1)"),
            ("file", b"\0\xff"),
        ];
        assert_eq!(
            given(&fields).unwrap(),
            r#"{"string":"h\"é\n","number":1180591620717411303424,"boolean":true,"datetime":"1973-05-20T09:00:00","moment":"(shifted (today) #:days -1)","file":"AP8="}"#
        );
        assert_eq!(given(&[]).unwrap(), "{}");
        for (number, kept) in
            [("42", "42"), ("-0.5", "-0.5"), ("1e+16", "1e+16"), ("1e-05", "1e-05")]
        {
            let expected = format!("{{\"number\":{kept}}}");
            assert_eq!(given(&[("number", number.as_bytes())]), Ok(expected));
        }
        for (written, meant) in [("False", "false"), ("0", "false"), ("1", "true")] {
            let expected = format!("{{\"boolean\":{meant}}}");
            assert_eq!(given(&[("boolean", written.as_bytes())]), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_carried_is_named() {
        for ((name, value), why) in [
            (
                ("number", b"True".as_slice()),
                "its input `number` is `True`, which is no number in JSON",
            ),
            (("number", b"inf"), "its input `number` is `inf`, which is no number in JSON"),
            (("boolean", b"2"), "its input `boolean` is `2`, neither true nor false"),
            (("string", b"\xff"), "its input `string` is not UTF-8"),
            (("other", b"x"), "its input has a `other`, which its operation does not declare"),
        ] {
            assert_eq!(given(&[(name, value)]).unwrap_err(), why);
        }
        let long = given(&[("number", &[b'x'; 1000])]).unwrap_err();
        assert!(long.contains("xx…`") && long.len() < 120, "{long}");
        let cut = &pack(&[("number", b"42")])[..12];
        let said = payload(Some(&specs()), Some(cut)).unwrap_err();
        assert!(said.starts_with("its input is damaged: "), "{said}");
    }

    #[test]
    fn pickles_and_bytes_are_told_apart() {
        let pickles: [&[u8]; 4] =
            [b"\x80\x02K*.", b"\x80\x02N.", b"\x80\x04\x95\0.", b"\x80\x05K\x01."];
        for pickle in pickles {
            for specs in [None, Some(specs())] {
                let said = payload(specs.as_deref(), Some(pickle)).unwrap_err();
                assert!(said.contains("pickled"), "{said}");
            }
        }
        let others: [&[u8]; 6] =
            [b"", b"\x80", b"\x80.", b"\x80\x02K*", b"(\xb5/\xfd", b"some bytes."];
        for bytes in others {
            assert_eq!(payload(None, Some(bytes)), Ok(Payload::Bytes(bytes.to_vec())));
        }
        assert_eq!(payload(None, None), Ok(Payload::None));
        assert_eq!(payload(Some(&specs()), None), Ok(Payload::None));
    }
}
