//! Manifests: operations that are commands, declared in a TOML file that needs no SDK.
//!
//! Read when it is registered, for the definitions, and again by the worker that runs one, for the
//! command. Every fault names the line, the operation and what was probably meant.

mod fault;
mod program;
mod table;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{Spanned, de::DeTable};

use self::{fault::At, table::Table};
pub use self::{
    fault::{Fault, ManifestError},
    program::Program,
};
use crate::values::{quantity, short_schema, validate::Schema};
use rework_wire::operation::{DEFAULT_DOMAIN, Definition, Form, Limits};

const KEYS: [&str; 2] = ["domain", "operation"];

const OPERATION_KEYS: [&str; 14] = [
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
];

/// One operation of a manifest: what it is, and what runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandOperation {
    /// Its name, schemas and limits.
    pub definition: Definition,
    /// What is run.
    pub program: Program,
    /// The folder in which it runs, absolute: the manifest's own, if none is declared.
    pub cwd: PathBuf,
    /// What is set in its environment.
    pub env: BTreeMap<String, String>,
    /// What is let through from the monitor's environment: names, with `*` for any letters.
    pub pass_env: Vec<String>,
}

impl CommandOperation {
    /// Whether a variable of the monitor's environment is let through although it is one of those
    /// that are kept from operations. Ours never are; the database's only by a pattern that
    /// names them, so that `*` alone gives no password away.
    pub fn lets_through(&self, variable: &str) -> bool {
        let guarded = ["PG", "DATABASE_URL"].into_iter().find(|word| variable.starts_with(word));
        !variable.starts_with("REWORK_")
            && self.pass_env.iter().any(|pattern| {
                program::matches(pattern, variable)
                    && guarded.is_none_or(|word| pattern.starts_with(word))
            })
    }
}

/// Reads the manifest at `path`.
pub fn load(path: &Path) -> Result<Vec<CommandOperation>, ManifestError> {
    let text = std::fs::read_to_string(path).map_err(|error| ManifestError {
        path: path.to_owned(),
        line: None,
        fault: Fault::Unreadable(error),
    })?;
    parse(&text, path)
}

/// Reads a manifest's text; `path`, absolute, is where it stands.
pub fn parse(text: &str, path: &Path) -> Result<Vec<CommandOperation>, ManifestError> {
    read(text, path).map_err(|At { fault, span }| ManifestError {
        path: path.to_owned(),
        line: span.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1),
        fault,
    })
}

fn read(text: &str, path: &Path) -> Result<Vec<CommandOperation>, At> {
    let document = DeTable::parse(text).map_err(|error| At {
        fault: Fault::Syntax(error.message().to_owned()),
        span: error.span(),
    })?;
    let top = Table::new(&document, "the manifest".to_owned());
    top.refuse_unknown(&KEYS)?;
    let domain = top.word("domain")?.unwrap_or_else(|| DEFAULT_DOMAIN.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut operations: Vec<CommandOperation> = Vec::new();
    for table in top.tables("operation")? {
        let operation = operation(&table, &domain, folder)?;
        let name = &operation.definition.name;
        if operations.iter().any(|other| other.definition.name == *name) {
            return Err(At::span(Fault::Duplicate { name: name.clone() }, table.span()));
        }
        operations.push(operation);
    }
    if operations.is_empty() {
        return Err(At { fault: Fault::Empty, span: None });
    }
    Ok(operations)
}

fn operation(
    declared: &Spanned<DeTable<'_>>,
    domain: &str,
    folder: &Path,
) -> Result<CommandOperation, At> {
    let mut table = Table::new(declared, "an operation without a name".to_owned());
    let named = table.word("name");
    if let Ok(Some(name)) = &named {
        table = Table::new(declared, format!("operation `{name}`"));
    }
    table.refuse_unknown(&OPERATION_KEYS)?;
    let name = named?.ok_or_else(|| table.missing("name"))?;
    let definition = Definition {
        domain: domain.to_owned(),
        name,
        input: input_schema(&table)?,
        output: None,
        output_form: output_form(&table)?,
        limits: limits(&table)?,
    };
    Ok(CommandOperation {
        definition,
        program: program(&table)?,
        cwd: folder.join(table.string("cwd")?.unwrap_or_default()).components().collect(),
        env: table.variables("env")?,
        pass_env: table.strings("pass_env")?.unwrap_or_default(),
    })
}

fn program(table: &Table<'_, '_>) -> Result<Program, At> {
    match (table.strings("command")?, table.string("shell")?) {
        (Some(command), None) if command.first().is_none_or(String::is_empty) => {
            Err(table.fault_at("command", |place| Fault::NoCommand { place }))
        }
        (Some(command), None) => Ok(Program::Command(command)),
        (None, Some(shell)) if shell.trim().is_empty() => {
            Err(table.fault_at("shell", |place| Fault::NoCommand { place }))
        }
        (None, Some(shell)) => Ok(Program::Shell(shell)),
        (None, None) => Err(table.fault(|place| Fault::NeitherCommandNorShell { place })),
        (Some(_), Some(_)) => {
            Err(table.fault_at("shell", |place| Fault::BothCommandAndShell { place }))
        }
    }
}

fn limits(table: &Table<'_, '_>) -> Result<Limits, At> {
    let usual = Limits::default();
    Ok(Limits {
        timeout_ms: table.quantity("timeout", quantity::milliseconds, 1)?,
        memory_bytes: table.quantity("memory", quantity::bytes, 1)?,
        attempts: table.positive("attempts")?.unwrap_or(usual.attempts),
        grace_ms: table.quantity("grace", quantity::milliseconds, 0)?.unwrap_or(usual.grace_ms),
        retry_lost: table.boolean("retry_lost")?.unwrap_or(usual.retry_lost),
        priority: table.priority("priority")?.unwrap_or(usual.priority),
        concurrency: usual.concurrency,
    })
}

fn output_form(table: &Table<'_, '_>) -> Result<Form, At> {
    match table.string("output")?.as_deref() {
        None | Some("json") => Ok(Form::Json),
        Some("bytes") => Ok(Form::Bytes),
        Some(other) => {
            let given = other.to_owned();
            Err(table.fault_at("output", |place| Fault::BadOutput { place, given }))
        }
    }
}

/// The declared input as a JSON Schema that compiles.
fn input_schema(table: &Table<'_, '_>) -> Result<Option<serde_json::Value>, At> {
    let Some(declared) = table.object("input")? else { return Ok(None) };
    let fault = |message: String| {
        table.fault_at("input", |place| Fault::BadValue { key: "input", place, message })
    };
    let schema = short_schema::expand(&declared).map_err(|error| fault(error.to_string()))?;
    Schema::compile(&schema).map_err(|error| fault(error.to_string()))?;
    Ok(Some(schema))
}

#[cfg(test)]
mod tests;
