//! Prepares each SQL statement of the sources on the current schema, so that Postgres checks its syntax, names and
//! types.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use tokio_postgres::Error;

use crate::support::database::Database;
use crate::support::repository::{assert_no_violations, display_path, files, has_extension, read};

/// Statements for the tables of the original rework in Python, which this database does not have.
/// `python/tests/test_import.py` runs them on a database that the original rework has made.
const FOR_PYTHON_REWORK: [&str; 4] =
    ["import_operations.sql", "import_counts.sql", "import_schedules.sql", "import_tasks.sql"];

#[test]
fn every_statement_can_be_prepared() {
    let database = Database::new();
    let statements = statements();
    assert!(statements.len() > 100, "the folders with the statements are found");
    let mut violations = Vec::new();
    for path in statements {
        if let Err(error) = database.session().try_prepare(&numbered(&read(&path))) {
            violations.push(format!("{}: {}", display_path(&path), message(&error)));
        }
    }
    assert_no_violations(&violations);
}

/// Returns the files in the folders `sql` of the crates and of the Python package.
fn statements() -> Vec<PathBuf> {
    let is_statement = |path: &PathBuf| {
        has_extension(path, "sql")
            && path.parent().is_some_and(|folder| folder.ends_with("sql"))
            && !FOR_PYTHON_REWORK.iter().any(|name| path.ends_with(name))
    };
    files(&["crates", "python/rework"]).into_iter().filter(is_statement).collect()
}

/// Replaces parameters of the form `:name`, which the Python package uses, by `$1`, `$2`, … A cast `::type` is kept.
fn numbered(sql: &str) -> String {
    let mut numbers = BTreeMap::new();
    let mut text = String::new();
    let mut remaining = sql;
    while let Some((before, after)) = remaining.split_once(':') {
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        text.push_str(before);
        if let Some(cast) = after.strip_prefix(':') {
            text.push_str("::");
            remaining = cast;
        } else if end == 0 {
            text.push(':');
            remaining = after;
        } else {
            let next = numbers.len() + 1;
            write!(text, "${}", numbers.entry(&after[..end]).or_insert(next)).unwrap();
            remaining = &after[end..];
        }
    }
    text + remaining
}

fn message(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

#[test]
fn named_parameters_get_numbers() {
    assert_eq!(numbered("select :a, :b_2::text, :a, 1::int"), "select $1, $2::text, $1, 1::int");
}
