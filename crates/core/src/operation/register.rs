//! Registering the operations that modules define: each becomes an operation with a placement on
//! one host, the record that the host can run it. Nothing is deleted, and all changes are recorded
//! in `rework.audit`.
//!
//! All modules of a call are registered in one transaction. The latest registration decides about the schemas and
//! limits of an operation. Each registration on a host is a new revision there, even if the definition is the same,
//! because the code of the module may have changed.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::{Row, types::Type};

use crate::{
    db::{
        connect::Db,
        error::{Error, Result},
        row::Columns,
    },
    operation::module_kind::ModuleKind,
};
use rework_wire::operation::Definition;

/// The deadline of a registration. It is longer than that of other statements, because a registration waits for the
/// lock of another one, and may itself be large.
const DEADLINE: Duration = Duration::from_secs(30);

/// A file that defines operations.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    pub kind: ModuleKind,
    /// The absolute path.
    pub path: String,
    /// The absolute path of the Python interpreter. `None` unless the module is a Python module.
    pub interpreter: Option<String>,
    pub operations: Vec<Definition>,
}

/// An operation that was registered on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegisteredOperation {
    pub domain: String,
    pub name: String,
    /// Whether the operation had no placement on this host before.
    pub new: bool,
    /// The file that the host runs it from.
    pub path: String,
    /// The file that the host ran it from before. `None` if it is new, or if the file is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_path: Option<String>,
    /// The revision, which counts the registrations of the operation on this host.
    pub revision: i32,
    /// The version, which counts the changes of the definition.
    pub version: i64,
}

/// The error for an operation that is defined twice, in two modules or in the same one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation `{name}` of domain `{domain}` is defined twice: in `{first}` and in `{second}`")]
pub struct DuplicateOperation {
    domain: String,
    name: String,
    first: String,
    second: String,
}

impl DuplicateOperation {
    /// Returns what the user can do. Never `None`.
    pub fn hint(&self) -> Option<String> {
        Some("rename one of them, or put it into another domain".to_owned())
    }
}

/// Returns an error if an operation is defined twice, because a host can run only one of the two.
pub fn refuse_duplicates(modules: &[Module]) -> Result<(), DuplicateOperation> {
    let mut defined_in: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for module in modules {
        for Definition { domain, name, .. } in &module.operations {
            if let Some(first) = defined_in.insert((domain, name), &module.path) {
                return Err(DuplicateOperation {
                    domain: domain.clone(),
                    name: name.clone(),
                    first: first.to_owned(),
                    second: module.path.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Registers the operations of all modules on `host`, all of them or none. Returns the operations
/// in the order of their domains and names. `Err` if the database refuses a definition or does not
/// answer in time.
pub async fn register(
    db: &mut Db,
    host: &str,
    modules: &[Module],
) -> Result<Vec<RegisteredOperation>> {
    let definitions = definitions_json(modules);
    let registering = async {
        match try_register(db, host, &definitions).await {
            // An import has created one of the operations meanwhile. The second attempt finds it.
            Err(error) if error.is_unique_violation() => try_register(db, host, &definitions).await,
            registered => registered,
        }
    };
    match tokio::time::timeout(DEADLINE, registering).await {
        Ok(registered) => registered,
        Err(_) => Err(Error::Deadline { seconds: DEADLINE.as_secs() }),
    }
}

async fn try_register(
    db: &mut Db,
    host: &str,
    definitions: &str,
) -> Result<Vec<RegisteredOperation>> {
    let transaction = db.client_mut().transaction().await?;
    // Only one registration at a time: each one audits the difference to the one before.
    transaction.query_typed_one(include_str!("sql/lock_operation_registration.sql"), &[]).await?;
    let rows = transaction
        .query_typed(
            include_str!("sql/register.sql"),
            &[(&definitions, Type::TEXT), (&host, Type::TEXT)],
        )
        .await?;
    transaction.commit().await?;
    rows.iter().map(registered_operation).collect()
}

fn registered_operation(row: &Row) -> Result<RegisteredOperation> {
    let row = Columns::of("operation", "name", row);
    Ok(RegisteredOperation {
        domain: row.get("domain")?,
        name: row.get("name")?,
        new: row.get("new")?,
        path: row.get("path")?,
        former_path: row.get("former_path")?,
        revision: row.get("revision")?,
        version: row.get("version")?,
    })
}

/// Returns the parameter of `register.sql`: a JSON array with one object for each operation. `declared` has the columns
/// of `rework.operation` as keys.
fn definitions_json(modules: &[Module]) -> String {
    let rows = modules.iter().flat_map(|module| {
        module.operations.iter().map(|operation| {
            json!({
                "domain": operation.domain,
                "name": operation.name,
                "kind": module.kind.as_str(),
                "path": module.path,
                "interpreter": module.interpreter,
                "declared": {
                    "input_schema": operation.input,
                    "output_schema": operation.output,
                    "output_form": operation.output_form.as_str(),
                    "timeout_ms": operation.limits.timeout_ms,
                    "memory_bytes": operation.limits.memory_bytes,
                    "attempts": operation.limits.attempts,
                    "grace_ms": operation.limits.grace_ms,
                    "retry_lost": operation.limits.retry_lost,
                    "priority": operation.limits.priority,
                    "concurrency": operation.limits.concurrency,
                    "retry": operation.limits.retry,
                    "available": operation.available,
                    "run_after": operation.run_after,
                    "run_before": operation.run_before,
                    "on_failure": operation.on_failure,
                    "is_flow": operation.is_flow,
                },
            })
        })
    });
    rows.collect::<Value>().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rework_wire::operation::{Form, Limits};

    fn module(path: &str, names: &[&str]) -> Module {
        let define = |name: &&str| Definition {
            domain: "images".into(),
            name: (*name).into(),
            input: None,
            output: None,
            output_form: Form::Json,
            limits: Limits::default(),
            ..Definition::default()
        };
        Module {
            kind: ModuleKind::Command,
            path: path.into(),
            interpreter: None,
            operations: names.iter().map(define).collect(),
        }
    }

    #[test]
    fn an_operation_that_two_modules_define_is_refused() {
        let distinct = [module("/a.toml", &["x", "y"]), module("/b.toml", &["z"])];
        assert_eq!(refuse_duplicates(&distinct), Ok(()));
        let same = [module("/a.toml", &["x", "y"]), module("/b.toml", &["y"])];
        assert_eq!(
            refuse_duplicates(&same).unwrap_err().to_string(),
            "operation `y` of domain `images` is defined twice: in `/a.toml` and in `/b.toml`"
        );
        assert!(refuse_duplicates(&[module("/a", &["x", "x"])]).is_err());
    }

    #[test]
    fn the_parameter_has_an_object_for_each_operation() {
        let text = definitions_json(&[module("/a.toml", &["x", "y"]), module("/b", &["z"])]);
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        let names: Vec<&Value> = rows.iter().map(|row| &row["name"]).collect();
        assert_eq!(names, ["x", "y", "z"]);
        assert_eq!(rows[2]["path"], json!("/b"));
        assert_eq!(rows[0]["declared"]["attempts"], json!(1));
        assert_eq!(rows[0]["declared"]["is_flow"], json!(false));
    }
}
