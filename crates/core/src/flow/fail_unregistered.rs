//! Failing the steps of flows that wait for an operation that nobody registers again.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// Fails the queued tasks of steps whose operation was unregistered at least `age` ago. Returns how many.
pub async fn fail_unregistered(db: &Db, age: Duration) -> Result<i64> {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    let row =
        db.query_one(include_str!("sql/fail_unregistered.sql"), &[(&age_ms, Type::INT8)]).await?;
    Columns::new(&row).get("failed")
}
