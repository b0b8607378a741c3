//! Unregister: takes placements of an operation away. An operation without any left is not to be
//! scheduled any more; its tasks, their logs and what is queued stay.

use tokio_postgres::{Row, types::Type};

use crate::db::{connect::Db, error::Result, row::Columns};

/// Which placements are meant: all that fit everything given.
#[derive(Debug, Clone, Default)]
pub struct Selection<'a> {
    /// The operation's name.
    pub name: &'a str,
    /// Its domain; none: any.
    pub domain: Option<&'a str>,
    /// The host; none: all.
    pub host: Option<&'a str>,
    /// A part of the module's path, or a pattern of SQL's `like` where it has a `%`.
    pub module: Option<&'a str>,
}

/// An operation on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The operation's row.
    pub operation: i64,
    /// The placement's row; none: the operation is on no host.
    pub placement: Option<i64>,
    /// The operation's domain.
    pub domain: String,
    pub name: String,
    /// Its module's path, or `-`.
    pub path: String,
    /// The host, or `-`.
    pub host: String,
}

/// What was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unregistered {
    /// Placements that are gone.
    pub placements: i64,
    /// Operations that have none left.
    pub operations: i64,
    /// Tasks of these operations that wait for a run, and go on waiting.
    pub waiting: i64,
}

/// What fits, in the order of domains and hosts.
pub async fn candidates(db: &Db, selection: &Selection<'_>) -> Result<Vec<Placed>> {
    let rows = db
        .query(
            include_str!("sql/unregister_candidates.sql"),
            &[
                (&selection.name, Type::TEXT),
                (&selection.domain, Type::TEXT),
                (&selection.host, Type::TEXT),
                (&selection.module, Type::TEXT),
            ],
        )
        .await?;
    rows.iter().map(placed).collect()
}

fn placed(row: &Row) -> Result<Placed> {
    let row = Columns::of("operation", "name", row);
    Ok(Placed {
        operation: row.get("operation")?,
        placement: row.get("placement")?,
        domain: row.get("domain")?,
        name: row.get("name")?,
        path: row.get("path")?,
        host: row.get("host")?,
    })
}

/// Takes exactly these away, as far as they are still there.
pub async fn unregister(db: &Db, placed: &[Placed]) -> Result<Unregistered> {
    let operations: Vec<i64> = placed.iter().map(|one| one.operation).collect();
    let placements: Vec<i64> = placed.iter().filter_map(|one| one.placement).collect();
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
