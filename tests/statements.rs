//! Every statement is one that Postgres accepts on the schema as it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use tokio_postgres::Error;

use crate::support::database::Database;
use crate::support::repository::{assert_none, files, has_extension, read, shown};

/// Statements for the tables of the Python rework, which this database does not have.
/// `python/tests/test_import.py` runs them on a database that the Python rework itself has made.
const FOR_PYTHON_REWORK: [&str; 4] =
    ["import_operations.sql", "import_others.sql", "import_schedules.sql", "import_tasks.sql"];

#[test]
fn every_statement_can_be_prepared() {
    let database = Database::new();
    let statements = statements();
    assert!(statements.len() > 100, "the statements are there to be prepared");
    let mut faults = Vec::new();
    for path in statements {
        if let Err(error) = database.session().try_prepare(&numbered(&read(&path))) {
            faults.push(format!("{}: {}", shown(&path), said(&error)));
        }
    }
    assert_none(&faults);
}

/// The files in the folders `sql` of our crates and of the Python package.
fn statements() -> Vec<PathBuf> {
    let is_statement = |path: &PathBuf| {
        has_extension(path, "sql")
            && path.parent().is_some_and(|folder| folder.ends_with("sql"))
            && !FOR_PYTHON_REWORK.iter().any(|name| path.ends_with(name))
    };
    files(&["crates", "python/rework"]).into_iter().filter(is_statement).collect()
}

/// With `$1`, `$2`, … for the parameters that the Python package writes as `:name`.
fn numbered(sql: &str) -> String {
    let mut numbers = BTreeMap::new();
    let mut text = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once(':') {
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        text.push_str(before);
        if let Some(cast) = after.strip_prefix(':') {
            text.push_str("::");
            rest = cast;
        } else if end == 0 {
            text.push(':');
            rest = after;
        } else {
            let next = numbers.len() + 1;
            write!(text, "${}", numbers.entry(&after[..end]).or_insert(next)).unwrap();
            rest = &after[end..];
        }
    }
    text + rest
}

fn said(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

#[test]
fn named_parameters_get_numbers() {
    assert_eq!(numbered("select :a, :b_2::text, :a, 1::int"), "select $1, $2::text, $1, 1::int");
}
