//! Warnings for people who schedule tasks that no live monitor can run. They decide nothing: a suitable monitor may
//! start at any moment.

use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// A task that no live monitor can run, and what the task needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The domain of the operation.
    pub domain: String,
    /// The name of the operation.
    pub operation: String,
    /// The only host that may run the task. `None` if every host may.
    pub host: Option<String>,
    /// The capabilities that the host must offer.
    pub capabilities: Vec<String>,
    /// The hosts where the operation is registered.
    pub placed_on: Vec<String>,
    /// Whether a live monitor on one of these hosts may serve the domain within a second, because the domain is new.
    pub may_be_served_soon: bool,
}

/// Returns what a task needs if no live monitor can run it. `None` if one can, or if the task was claimed or has ended.
pub async fn unserved(db: &Db, task: i64) -> Result<Option<Unserved>> {
    let row = db.query_opt(include_str!("sql/unserved.sql"), &[(&task, Type::INT8)]).await?;
    let Some(row) = &row else { return Ok(None) };
    let row = Columns::of("task", "id", row);
    Ok(Some(Unserved {
        domain: row.get("domain")?,
        operation: row.get("operation")?,
        host: row.get("host")?,
        capabilities: row.get("capabilities")?,
        placed_on: row.get("placed_on")?,
        may_be_served_soon: row.get("may_be_served_soon")?,
    }))
}

/// Returns whether a live monitor serves a domain.
pub async fn is_domain_served(db: &Db, domain: &str) -> Result<bool> {
    let row =
        db.query_one(include_str!("sql/is_domain_served.sql"), &[(&domain, Type::TEXT)]).await?;
    Columns::new(&row).get("served")
}
