//! List operations: one row for each placement, and one for an operation that has none.

use serde::Serialize;
use tokio_postgres::types::Type;

use crate::{
    db::{connect::Db, error::Result, row::Columns},
    operation::find::definition,
};
use chrono::{DateTime, Utc};
use rework_wire::operation::Definition;

/// An operation, on a host where it has one.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The operation's row.
    pub id: i64,
    #[serde(flatten)]
    pub definition: Definition,
    /// Counts the changes of its definition.
    pub version: i64,
    /// When it was last registered.
    pub registered_at: DateTime<Utc>,
    /// When its last placement went; none: it is registered.
    pub unregistered_at: Option<DateTime<Utc>>,
    /// How the host runs it.
    pub placement: Option<Placement>,
}

/// How a host runs an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placement {
    pub host: String,
    /// `rust`, `python` or `command`.
    pub kind: String,
    /// The module's path.
    pub path: String,
    /// Counts its registrations there.
    pub revision: i32,
}

/// Operations in the order of their domains, names and hosts; `all`: the unregistered ones too.
pub async fn list_operations(db: &Db, domain: Option<&str>, all: bool) -> Result<Vec<Listed>> {
    let rows = db
        .query(
            include_str!("sql/list_operations.sql"),
            &[(&domain, Type::TEXT), (&all, Type::BOOL)],
        )
        .await?;
    rows.iter().map(|row| listed(Columns::of("operation", "id", row))).collect()
}

fn listed(row: Columns<'_>) -> Result<Listed> {
    Ok(Listed {
        id: row.get("id")?,
        definition: definition(row)?,
        version: row.get("version")?,
        registered_at: row.get("registered_at")?,
        unregistered_at: row.get("unregistered_at")?,
        placement: match row.get("host")? {
            Some(host) => Some(Placement {
                host,
                kind: row.get("kind")?,
                path: row.get("path")?,
                revision: row.get("revision")?,
            }),
            None => None,
        },
    })
}
