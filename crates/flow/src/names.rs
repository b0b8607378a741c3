//! Names in descriptions: which texts can be names, and how a value and a path in it are written.

use crate::fault::Fault;

/// The most bytes of a name of a step, a pattern or a value.
const MAX_BYTES: usize = 255;

/// The name of a value and a path in it. `vm.disks.0` is the first element of `disks` in the value `vm`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reference<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: Vec<String>,
}

impl<'a> Reference<'a> {
    /// Reads `name` or `name.path`.
    pub(crate) fn read(text: &'a str) -> Result<Reference<'a>, Fault> {
        let Some((name, path)) = text.split_once('.') else { return Reference::plain(text) };
        if text.split('.').any(str::is_empty) {
            return Err(fault("a reference to a value", text, "a part of it is empty"));
        }
        check_text("the name of a value", name)?;
        Ok(Reference { name, path: self::path(path)? })
    }

    /// Makes a reference to a whole value. The name is not split at its dots.
    pub(crate) fn plain(name: &'a str) -> Result<Reference<'a>, Fault> {
        if name.is_empty() {
            return Err(fault("the name of a value", name, "it is empty"));
        }
        check_text("the name of a value", name)?;
        Ok(Reference { name, path: Vec::new() })
    }
}

/// Reads a path in a value: keys of objects and positions in lists, with dots between them. An empty path leads to the
/// whole value.
pub(crate) fn path(text: &str) -> Result<Vec<String>, Fault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    check_text("a path", text)?;
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    if parts.iter().any(String::is_empty) {
        return Err(fault("a path", text, "a part of it is empty"));
    }
    Ok(parts)
}

/// Checks that a text can be the name of `what`, which is a step or a pattern.
pub(crate) fn check(what: &'static str, name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(fault(what, name, "it is empty"));
    }
    if name.len() > MAX_BYTES {
        return Err(fault(what, name, "it is longer than 255 bytes"));
    }
    check_text(what, name)
}

/// Checks that a text can be the name of a value that a step or a controller provides.
pub(crate) fn check_value(name: &str) -> Result<(), Fault> {
    let what = "the name of a value";
    check(what, name)?;
    if name.contains('.') {
        return Err(fault(what, name, "a dot separates the name of a value from a path in it"));
    }
    Ok(())
}

/// Checks that a text contains no control character. Postgres cannot store all of them, and nobody sees them.
pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), Fault> {
    if text.chars().any(char::is_control) {
        return Err(fault(what, text, "it contains a control character"));
    }
    Ok(())
}

fn fault(what: &'static str, name: &str, reason: &'static str) -> Fault {
    let shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
    let dots = if name.chars().nth(60).is_some() { "…" } else { "" };
    Fault::Name { what, name: shown + dots, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(&str, Vec<String>), String> {
        Reference::read(text)
            .map(|reference| (reference.name, reference.path))
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_reference_is_a_name_and_a_path() {
        assert_eq!(read("vm"), Ok(("vm", vec![])));
        assert_eq!(read("vm.disks.0"), Ok(("vm", vec!["disks".to_owned(), "0".to_owned()])));
        for (text, expected) in [
            ("", "`` cannot be the name of a value: it is empty"),
            ("a\u{0}", r"`a\0` cannot be the name of a value: it contains a control character"),
            ("vm.", "`vm.` cannot be a reference to a value: a part of it is empty"),
            (".x", "`.x` cannot be a reference to a value: a part of it is empty"),
            ("vm.\u{1b}", r"`\u{1b}` cannot be a path: it contains a control character"),
        ] {
            assert_eq!(read(text), Err(expected.to_owned()), "{text}");
        }
        assert_eq!(Reference::plain("a.b").unwrap().name, "a.b", "a property of a schema");
    }

    #[test]
    fn a_path_has_dots_between_its_parts() {
        assert_eq!(path(""), Ok(vec![]));
        assert_eq!(path("ref.0"), Ok(vec!["ref".to_owned(), "0".to_owned()]));
        assert!(path(".ref").is_err());
    }

    #[test]
    fn names_that_cannot_be_stored_or_referred_to_are_refused() {
        let fault = |result: Result<(), Fault>| result.unwrap_err().to_string();
        let long = "x".repeat(256);
        assert_eq!(check("the name of a step", &long[..255]), Ok(()));
        let expected =
            format!("`{}…` cannot be the name of a step: it is longer than 255 bytes", &long[..60]);
        assert_eq!(fault(check("the name of a step", &long)), expected);
        assert_eq!(check("the name of a step", "a.b c"), Ok(()));
        assert!(
            fault(check_value("a.b")).ends_with("separates the name of a value from a path in it")
        );
        assert!(fault(check_value("")).ends_with("it is empty"));
    }
}
