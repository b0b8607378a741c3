//! Served: whether a live monitor could have a task run. A word for people who schedule, not a
//! verdict: another host may come at any moment.

use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// What a task needs that no live monitor offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// Its operation's domain.
    pub domain: String,
    /// Its operation's name.
    pub operation: String,
    /// The only host that may run it, if it names one.
    pub host: Option<String>,
    /// What its host must offer.
    pub capabilities: Vec<String>,
    /// The hosts where its operation has a placement.
    pub placed_on: Vec<String>,
}

/// What is missing for a task to run; none where a live monitor serves it.
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
    }))
}

/// Whether a live monitor serves a domain.
pub async fn domain(db: &Db, domain: &str) -> Result<bool> {
    let row = db.query_one(include_str!("sql/domain_served.sql"), &[(&domain, Type::TEXT)]).await?;
    Columns::new(&row).get("served")
}
