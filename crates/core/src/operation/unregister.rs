//! Unregistering: removing placements of an operation, the records that a host can run it. An
//! operation without a placement can no longer be scheduled. Its tasks and their logs stay; queued
//! tasks wait until the operation is registered again.

use tokio_postgres::{Row, types::Type};

use crate::db::{connect::Db, error::Result, row::Columns};

/// Selects the placements to remove. A placement must match every field; `None` matches all placements.
#[derive(Debug, Clone, Default)]
pub struct PlacementFilter<'a> {
    /// The name of the operation.
    pub name: &'a str,
    /// The domain of the operation.
    pub domain: Option<&'a str>,
    pub host: Option<&'a str>,
    /// A part of the path of the module. If the text contains `%`, it is a pattern for the SQL
    /// operator `like`.
    pub module: Option<&'a str>,
}

/// A placement that can be removed, or a registered operation that has no placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnregisterCandidate {
    /// The id of the operation.
    pub operation: i64,
    /// The id of the placement. `None` if the operation has no placement.
    pub placement: Option<i64>,
    /// The domain of the operation.
    pub domain: String,
    /// The name of the operation.
    pub name: String,
    /// The path of the module, or `-` if the operation has no placement.
    pub path: String,
    /// The host, or `-` if the operation has no placement.
    pub host: String,
}

/// How many rows were changed by [`unregister`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unregistered {
    /// The number of placements that were removed.
    pub placements: i64,
    /// The number of operations that have no placement any more.
    pub operations: i64,
    /// The number of queued tasks of these operations. They wait until the operation is registered again.
    pub waiting: i64,
}

/// Returns the placements that match the filter, in the order of domains and hosts.
pub async fn candidates(db: &Db, filter: &PlacementFilter<'_>) -> Result<Vec<UnregisterCandidate>> {
    let rows = db
        .query(
            include_str!("sql/unregister_candidates.sql"),
            &[
                (&filter.name, Type::TEXT),
                (&filter.domain, Type::TEXT),
                (&filter.host, Type::TEXT),
                (&filter.module, Type::TEXT),
            ],
        )
        .await?;
    rows.iter().map(candidate).collect()
}

fn candidate(row: &Row) -> Result<UnregisterCandidate> {
    let row = Columns::of("operation", "name", row);
    Ok(UnregisterCandidate {
        operation: row.get("operation")?,
        placement: row.get("placement")?,
        domain: row.get("domain")?,
        name: row.get("name")?,
        path: row.get("path")?,
        host: row.get("host")?,
    })
}

/// Removes these placements, as far as they still exist, and no others.
pub async fn unregister(db: &Db, candidates: &[UnregisterCandidate]) -> Result<Unregistered> {
    let operations: Vec<i64> = candidates.iter().map(|one| one.operation).collect();
    let placements: Vec<i64> = candidates.iter().filter_map(|one| one.placement).collect();
    let row = db
        .query_one(
            include_str!("sql/unregister.sql"),
            &[(&placements, Type::INT8_ARRAY), (&operations, Type::INT8_ARRAY)],
        )
        .await?;
    let row = Columns::new(&row);
    Ok(Unregistered {
        placements: row.get("placements")?,
        operations: row.get("operations")?,
        waiting: row.get("waiting")?,
    })
}
