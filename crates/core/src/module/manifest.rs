//! Reads manifests: TOML files that declare commands as operations, so that a program without an SDK can be one.
//!
//! A manifest is read twice: at registration for the definitions of its operations, and by the worker for the command
//! to run. Every error names the line, the operation, and the key that was probably meant.

mod error;
mod program;
mod table;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use toml::{Spanned, de::DeTable};

use self::{error::LocatedError, table::Table};
pub use self::{
    error::{ManifestError, ManifestErrorKind},
    program::Program,
};
use crate::{
    module::input_variable,
    values::{quantity, short_schema, validate::Schema},
};
use rework_wire::{
    operation::{DEFAULT_DOMAIN, Definition, Form, Limits},
    retry_policy::{self, RetryPolicy},
};

/// The keys of the manifest itself.
const KEYS: [&str; 2] = ["domain", "operation"];

/// The keys of a table `[[operation]]`.
const OPERATION_KEYS: [&str; 19] = [
    "name",
    "command",
    "shell",
    "timeout",
    "memory",
    "attempts",
    "grace",
    "retry_lost",
    "priority",
    "output",
    "cwd",
    "env",
    "pass_env",
    "input",
    "retry",
    "available",
    "run_after",
    "run_before",
    "on_failure",
];

/// One operation of a manifest, and the command that it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandOperation {
    /// Name, schemas and limits of the operation.
    pub definition: Definition,
    pub program: Program,
    /// The absolute path of the folder in which the command runs. The default is the manifest's folder.
    pub cwd: PathBuf,
    /// The environment variables that are set for the command.
    pub env: BTreeMap<String, String>,
    /// Patterns of variables that the command gets from the monitor's environment. `*` stands for any characters.
    pub pass_env: Vec<String>,
    /// The check: the operation is available on a host while this program exits with code 0. `None` if it always is.
    pub available: Option<Program>,
}

impl CommandOperation {
    /// Returns whether `pass_env` passes a variable of the monitor's environment to the command.
    ///
    /// Variables of rework are never passed. Those that may contain the password of a database are passed only if the
    /// pattern starts with their prefix, so that `*` alone does not reveal a password.
    pub fn passes_variable(&self, variable: &str) -> bool {
        let secret_prefix =
            ["PG", "DATABASE_URL"].into_iter().find(|prefix| variable.starts_with(prefix));
        !variable.starts_with("REWORK_")
            && self.pass_env.iter().any(|pattern| {
                program::matches(pattern, variable)
                    && secret_prefix.is_none_or(|prefix| pattern.starts_with(prefix))
            })
    }
}

/// Reads and parses the manifest at `path`.
///
/// # Errors
///
/// `Err` if the file cannot be read, or if it is not a valid manifest.
pub fn load(path: &Path) -> Result<Vec<CommandOperation>, ManifestError> {
    let text = std::fs::read_to_string(path).map_err(|error| ManifestError {
        path: path.to_owned(),
        line: None,
        kind: ManifestErrorKind::Unreadable(error),
    })?;
    parse(&text, path)
}

/// Parses the text of a manifest. `path` is the absolute path of its file, to which `cwd` is
/// relative. `Err` if the text is not a valid manifest.
pub fn parse(text: &str, path: &Path) -> Result<Vec<CommandOperation>, ManifestError> {
    read(text, path).map_err(|LocatedError { kind, span }| ManifestError {
        path: path.to_owned(),
        line: span.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1),
        kind,
    })
}

fn read(text: &str, path: &Path) -> Result<Vec<CommandOperation>, LocatedError> {
    let document = DeTable::parse(text).map_err(|error| LocatedError {
        kind: ManifestErrorKind::Syntax(error.message().to_owned()),
        span: error.span(),
    })?;
    let top = Table::new(&document, "the manifest".to_owned());
    top.refuse_unknown(&KEYS)?;
    let domain = top.name("domain")?.unwrap_or_else(|| DEFAULT_DOMAIN.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut operations: Vec<CommandOperation> = Vec::new();
    let mut names = HashSet::new();
    for table in top.tables("operation")? {
        let operation = operation(&table, &domain, folder)?;
        let name = &operation.definition.name;
        if !names.insert(name.clone()) {
            return Err(LocatedError::span(
                ManifestErrorKind::Duplicate { name: name.clone() },
                table.span(),
            ));
        }
        operations.push(operation);
    }
    if operations.is_empty() {
        return Err(LocatedError { kind: ManifestErrorKind::Empty, span: None });
    }
    Ok(operations)
}

fn operation(
    declared: &Spanned<DeTable<'_>>,
    domain: &str,
    folder: &Path,
) -> Result<CommandOperation, LocatedError> {
    let mut table = Table::new(declared, "an operation without a name".to_owned());
    let name = table.name("name");
    if let Ok(Some(name)) = &name {
        table = Table::new(declared, format!("operation `{name}`"));
    }
    table.refuse_unknown(&OPERATION_KEYS)?;
    let name = name?.ok_or_else(|| table.missing("name"))?;
    let env = table.variables("env")?;
    let available = table.program("available")?;
    let definition = Definition {
        domain: domain.to_owned(),
        name,
        input: input_schema(&table, &env)?,
        output: None,
        output_form: output_form(&table)?,
        limits: limits(&table)?,
        available: available.as_ref().map(Program::text),
        run_after: table.names("run_after")?,
        run_before: table.names("run_before")?,
        on_failure: table.names("on_failure")?,
        is_flow: false,
    };
    Ok(CommandOperation {
        definition,
        program: program(&table)?,
        cwd: folder.join(table.string("cwd")?.unwrap_or_default()).components().collect(),
        env,
        pass_env: table.strings("pass_env")?.unwrap_or_default(),
        available,
    })
}

fn program(table: &Table<'_, '_>) -> Result<Program, LocatedError> {
    match (table.strings("command")?, table.string("shell")?) {
        (Some(command), None) if command.first().is_none_or(String::is_empty) => {
            Err(table.error_at("command", |subject| ManifestErrorKind::NoCommand { subject }))
        }
        (Some(command), None) => Ok(Program::Command(command)),
        (None, Some(shell)) if shell.trim().is_empty() => {
            Err(table.error_at("shell", |subject| ManifestErrorKind::NoCommand { subject }))
        }
        (None, Some(shell)) => Ok(Program::Shell(shell)),
        (None, None) => {
            Err(table.error(|subject| ManifestErrorKind::NeitherCommandNorShell { subject }))
        }
        (Some(_), Some(_)) => {
            Err(table
                .error_at("shell", |subject| ManifestErrorKind::BothCommandAndShell { subject }))
        }
    }
}

fn limits(table: &Table<'_, '_>) -> Result<Limits, LocatedError> {
    let defaults = Limits::default();
    let retry = declared_retry(table)?;
    let attempts = retry_policy::attempts(table.positive("attempts")?, retry.as_ref())
        .map_err(|fault| table.invalid("retry", format!("it {fault}")))?;
    Ok(Limits {
        timeout_ms: table.quantity("timeout", quantity::milliseconds, 1)?,
        memory_bytes: table.quantity("memory", quantity::bytes, 1)?,
        attempts,
        grace_ms: table.quantity("grace", quantity::milliseconds, 0)?.unwrap_or(defaults.grace_ms),
        retry_lost: table.boolean("retry_lost")?.unwrap_or(defaults.retry_lost),
        priority: table.priority("priority")?.unwrap_or(defaults.priority),
        concurrency: defaults.concurrency,
        retry,
    })
}

fn declared_retry(table: &Table<'_, '_>) -> Result<Option<RetryPolicy>, LocatedError> {
    let Some(declared) = table.json("retry")? else { return Ok(None) };
    let policy = RetryPolicy::from_json(&declared);
    policy.map(Some).map_err(|fault| table.invalid("retry", format!("it {fault}")))
}

fn output_form(table: &Table<'_, '_>) -> Result<Form, LocatedError> {
    match table.string("output")?.as_deref() {
        None | Some("json") => Ok(Form::Json),
        Some("bytes") => Ok(Form::Bytes),
        Some(other) => {
            let given = other.to_owned();
            Err(table.error_at("output", |subject| ManifestErrorKind::BadOutput { subject, given }))
        }
    }
}

/// Returns the JSON Schema of the declared input, or `None` if no input is declared. `Err` if it is not a valid schema,
/// or if two inputs would have the same variable.
fn input_schema(
    table: &Table<'_, '_>,
    env: &BTreeMap<String, String>,
) -> Result<Option<serde_json::Value>, LocatedError> {
    let Some(declared) = table.object("input")? else { return Ok(None) };
    let invalid = |message: String| {
        table.error_at("input", |subject| ManifestErrorKind::BadValue {
            key: "input",
            subject,
            message,
        })
    };
    let schema = short_schema::expand(&declared).map_err(|error| invalid(error.to_string()))?;
    Schema::compile(&schema).map_err(|error| invalid(error.to_string()))?;
    match input_variable::collision(&schema, env) {
        Some(collision) => Err(invalid(collision)),
        None => Ok(Some(schema)),
    }
}

#[cfg(test)]
mod tests;
