//! Renders the text that `rework dev` prints when everything runs: where the database is, which operations are
//! registered, and which commands to type next.

use std::fmt::Write as _;

use rework_core::{db::dsn::Dsn, operation::list::ListedOperation};
use serde_json::Value;

use super::private_postgres::PrivatePostgres;

/// Returns the text with its newlines. `postgres` is the private Postgres, if there is one.
pub(crate) fn render(
    dsn: &Dsn,
    postgres: Option<&PrivatePostgres>,
    operations: &[ListedOperation],
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<11} {value}");
    };
    let redacted = dsn.redacted();
    line("database", &redacted);
    line("psql", &format!("psql {}", shell_quoted(&redacted)));
    if let Some(postgres) = postgres {
        line("data", &postgres.data.display().to_string());
        line("log", &postgres.log.display().to_string());
    }
    for (index, operation) in operations.iter().enumerate() {
        line(if index == 0 { "operations" } else { "" }, &describe(operation));
    }
    text.push_str("\nIn another terminal, in this directory or below:\n");
    for command in next_commands(operations) {
        let _ = writeln!(text, "  {command}");
    }
    text.push_str("\nThe logs of all tasks follow. Ctrl-C stops everything.\n");
    text
}

/// Returns an operation with its domain and its file: `resize (images)  /srv/ops.toml`.
fn describe(operation: &ListedOperation) -> String {
    let definition = &operation.definition;
    let path = operation.placement.as_ref().map_or("", |placement| &placement.path);
    let name = if definition.domain == "default" {
        definition.name.clone()
    } else {
        format!("{} ({})", definition.name, definition.domain)
    };
    format!("{name:<20} {path}")
}

/// Returns three commands to type. The first one schedules an operation that needs no input, if there is one.
fn next_commands(operations: &[ListedOperation]) -> [String; 3] {
    let without_input =
        operations.iter().find(|operation| requires_nothing(operation.definition.input.as_ref()));
    let schedule = match without_input.or(operations.first()) {
        Some(operation) if without_input.is_some() => {
            format!("rework schedule {} --follow", operation.definition.name)
        }
        Some(operation) => format!("rework schedule {} --help", operation.definition.name),
        None => "rework register-operations PATH".to_owned(),
    };
    [schedule, "rework list-tasks".to_owned(), "rework list-operations".to_owned()]
}

/// Returns whether an input schema has no required property.
fn requires_nothing(schema: Option<&Value>) -> bool {
    let required = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
    required.is_none_or(Vec::is_empty)
}

/// Quotes a text for a shell, if it needs quotes.
fn shell_quoted(text: &str) -> String {
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
    fn a_dsn_is_quoted_only_if_a_shell_needs_it() {
        assert_eq!(
            shell_quoted("postgres://rework@%2Ftmp/rework"),
            "postgres://rework@%2Ftmp/rework"
        );
        assert_eq!(shell_quoted("host=/tmp user='x'"), r"'host=/tmp user='\''x'\'''");
    }

    #[test]
    fn without_operations_the_first_command_registers_some() {
        let dsn = Dsn::parse("postgres://me:secret@db/x").unwrap();
        let text = render(&dsn, None, &[]);
        assert!(text.contains("rework register-operations PATH"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn an_operation_with_a_required_input_is_not_suggested() {
        let is_free = |schema: &str| requires_nothing(serde_json::from_str(schema).ok().as_ref());
        assert!(is_free(r#"{"type": "object", "required": []}"#));
        assert!(is_free(r#"{"type": "object"}"#));
        assert!(!is_free(r#"{"type": "object", "required": ["width"]}"#));
        assert!(requires_nothing(None));
    }
}
