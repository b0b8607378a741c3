//! Listing operations: one entry for each placement (the fact that one host can run an operation),
//! and one for each operation without a placement.

use serde::Serialize;
use tokio_postgres::types::Type;

use crate::{
    db::{connect::Db, error::Result, row::Columns},
    operation::find::definition,
    pause::row::Pause,
};
use chrono::{DateTime, Utc};
use rework_wire::operation::Definition;

/// An operation with one of its placements.
#[derive(Debug, Clone, Serialize)]
pub struct ListedOperation {
    pub id: i64,
    #[serde(flatten)]
    pub definition: Definition,
    /// The version, which counts the changes of the definition.
    pub version: i64,
    /// When the operation was last registered.
    pub registered_at: DateTime<Utc>,
    /// When the last placement of the operation was removed. `None` if the operation is registered.
    pub unregistered_at: Option<DateTime<Utc>>,
    /// The placement. `None` if the operation has none.
    pub placement: Option<Placement>,
    /// A pause that concerns the operation on this host. `None` if there is none.
    pub pause: Option<Pause>,
}

/// The placement of an operation: how one host runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placement {
    pub host: String,
    /// The kind of the module: `rust`, `python` or `command`.
    pub kind: String,
    /// The path of the module.
    pub path: String,
    /// The revision, which counts the registrations of the operation on this host.
    pub revision: i32,
}

/// Returns the registered operations in the order of their domains, names and hosts. With `all`, the unregistered ones
/// too.
pub async fn list_operations(
    db: &Db,
    domain: Option<&str>,
    all: bool,
) -> Result<Vec<ListedOperation>> {
    let rows = db
        .query(
            include_str!("sql/list_operations.sql"),
            &[(&domain, Type::TEXT), (&all, Type::BOOL)],
        )
        .await?;
    rows.iter().map(|row| listed_operation(Columns::of("operation", "id", row))).collect()
}

fn listed_operation(row: Columns<'_>) -> Result<ListedOperation> {
    Ok(ListedOperation {
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
        pause: row.json("pause")?,
    })
}
