//! Register: what modules define becomes operations, placed on one host. Nothing is ever deleted,
//! and what changed is audited.
//!
//! All modules of a call are one transaction. The newest registration of an operation wins; each
//! registration on a host is a new revision there, even where nothing changed, since the module's
//! code may have.

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
    operation::kind::Kind,
};
use rework_wire::operation::Definition;

/// Another registration may be under way, and a large one takes its time.
const DEADLINE: Duration = Duration::from_secs(30);

/// A file that holds operations.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    pub kind: Kind,
    /// Its path, absolute.
    pub path: String,
    /// What runs it, where it is a Python module: absolute.
    pub interpreter: Option<String>,
    /// What it defines.
    pub operations: Vec<Definition>,
}

/// An operation as it now is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registered {
    pub domain: String,
    pub name: String,
    /// It had no placement on this host before.
    pub new: bool,
    /// Counts its registrations on this host.
    pub revision: i32,
    /// Counts the changes of its definition.
    pub version: i64,
}

/// Two modules, or one of them twice, define the same operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation `{name}` of domain `{domain}` is defined twice: in `{first}` and in `{second}`")]
pub struct DefinedTwice {
    domain: String,
    name: String,
    first: String,
    second: String,
}

impl DefinedTwice {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some("rename one, or put it into another domain".to_owned())
    }
}

/// Refuses modules that define the same operation: only one of them could be the one to run.
pub fn refuse_twice(modules: &[Module]) -> Result<(), DefinedTwice> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for module in modules {
        for Definition { domain, name, .. } in &module.operations {
            if let Some(first) = seen.insert((domain, name), &module.path) {
                return Err(DefinedTwice {
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

/// Registers all operations of the modules on `host`, or none of them. In the order of their
/// domains and names.
pub async fn register(db: &mut Db, host: &str, modules: &[Module]) -> Result<Vec<Registered>> {
    let given = given(modules);
    let writing = async {
        let transaction = db.client_mut().transaction().await?;
        // One after the other, so that each sees what it changes.
        transaction.query_typed(include_str!("sql/register_lock.sql"), &[]).await?;
        let rows = transaction
            .query_typed(
                include_str!("sql/register.sql"),
                &[(&given, Type::TEXT), (&host, Type::TEXT)],
            )
            .await?;
        transaction.commit().await?;
        rows.iter().map(registered).collect()
    };
    match tokio::time::timeout(DEADLINE, writing).await {
        Ok(written) => written,
        Err(_) => Err(Error::Deadline { seconds: DEADLINE.as_secs() }),
    }
}

fn registered(row: &Row) -> Result<Registered> {
    let row = Columns::of("operation", "name", row);
    Ok(Registered {
        domain: row.get("domain")?,
        name: row.get("name")?,
        new: row.get("new")?,
        revision: row.get("revision")?,
        version: row.get("version")?,
    })
}

/// The statement's parameter: one object for each operation, keyed by the columns.
fn given(modules: &[Module]) -> String {
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
        };
        Module {
            kind: Kind::Command,
            path: path.into(),
            interpreter: None,
            operations: names.iter().map(define).collect(),
        }
    }

    #[test]
    fn one_operation_in_two_modules_is_refused() {
        let distinct = [module("/a.toml", &["x", "y"]), module("/b.toml", &["z"])];
        assert_eq!(refuse_twice(&distinct), Ok(()));
        let same = [module("/a.toml", &["x", "y"]), module("/b.toml", &["y"])];
        assert_eq!(
            refuse_twice(&same).unwrap_err().to_string(),
            "operation `y` of domain `images` is defined twice: in `/a.toml` and in `/b.toml`"
        );
        assert!(refuse_twice(&[module("/a", &["x", "x"])]).is_err());
    }

    #[test]
    fn the_parameter_has_a_row_for_each_operation() {
        let text = given(&[module("/a.toml", &["x", "y"]), module("/b", &["z"])]);
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        let names: Vec<&Value> = rows.iter().map(|row| &row["name"]).collect();
        assert_eq!(names, ["x", "y", "z"]);
        assert_eq!(rows[2]["path"], json!("/b"));
        assert_eq!(rows[0]["declared"]["attempts"], json!(1));
    }
}
