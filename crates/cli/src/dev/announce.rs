//! What `rework dev` says when everything is up: where things are, what is registered, and what to
//! type next.

use std::fmt::Write as _;

use rework_core::{db::dsn::Dsn, operation::list::Listed};
use serde_json::Value;

use super::postgres::Installation;

/// The text, with newlines.
pub(crate) fn text(dsn: &Dsn, own: Option<&Installation>, operations: &[Listed]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<11} {value}");
    };
    let shown = dsn.redacted();
    line("database", &shown);
    line("psql", &format!("psql {}", quoted(&shown)));
    if let Some(own) = own {
        line("data", &own.data.display().to_string());
        line("log", &own.log.display().to_string());
    }
    for (index, operation) in operations.iter().enumerate() {
        line(if index == 0 { "operations" } else { "" }, &described(operation));
    }
    text.push_str("\nIn another terminal, in this directory or below:\n");
    for command in next(operations) {
        let _ = writeln!(text, "  {command}");
    }
    text.push_str("\nThe logs of all tasks follow. Ctrl-C stops everything.\n");
    text
}

/// `resize (images)  /srv/ops.toml`
fn described(operation: &Listed) -> String {
    let definition = &operation.definition;
    let path = operation.placement.as_ref().map_or("", |placement| &placement.path);
    let name = if definition.domain == "default" {
        definition.name.clone()
    } else {
        format!("{} ({})", definition.name, definition.domain)
    };
    format!("{name:<20} {path}")
}

/// Three commands to type: the first schedules something that can be scheduled as it is.
fn next(operations: &[Listed]) -> [String; 3] {
    let easy =
        operations.iter().find(|operation| needs_nothing(operation.definition.input.as_ref()));
    let schedule = match easy.or(operations.first()) {
        Some(operation) if easy.is_some() => {
            format!("rework schedule {} --follow", operation.definition.name)
        }
        Some(operation) => format!("rework schedule {} --help", operation.definition.name),
        None => "rework register-operations PATH".to_owned(),
    };
    [schedule, "rework list-tasks".to_owned(), "rework list-operations".to_owned()]
}

fn needs_nothing(schema: Option<&Value>) -> bool {
    let required = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
    required.is_none_or(Vec::is_empty)
}

/// For a shell; what needs no quotes gets none.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%=+,".contains(c);
    if text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_is_quoted_where_it_must_be() {
        assert_eq!(quoted("postgres://rework@%2Ftmp/rework"), "postgres://rework@%2Ftmp/rework");
        assert_eq!(quoted("host=/tmp user='x'"), r"'host=/tmp user='\''x'\'''");
    }

    #[test]
    fn without_operations_the_first_step_is_to_register_some() {
        let dsn = Dsn::parse("postgres://me:secret@db/x").unwrap();
        let text = text(&dsn, None, &[]);
        assert!(text.contains("rework register-operations PATH"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn an_operation_that_needs_an_input_is_not_scheduled_without() {
        let needs = |schema: &str| needs_nothing(serde_json::from_str(schema).ok().as_ref());
        assert!(needs(r#"{"type": "object", "required": []}"#));
        assert!(needs(r#"{"type": "object"}"#));
        assert!(!needs(r#"{"type": "object", "required": ["width"]}"#));
        assert!(needs_nothing(None));
    }
}
