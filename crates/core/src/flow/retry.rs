//! Retrying a flow: one that waits because a revert failed tries the revert again, and one that has ended goes on where
//! it stopped, or is planned again. The SQL function `rework.retry_flow` does it. Other tasks are retried by
//! `crates/core/src/task/retry.rs`.

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// Retries a flow and returns what it does now, for people. `reverted` is the name of a step whose revert failed and
/// that somebody has undone, so that it counts as reverted.
///
/// `Err` with SQLSTATE `RW404` if the flow or the step does not exist, and with `RW400` if the flow cannot be retried.
pub async fn retry(db: &Db, flow: i64, reverted: Option<&str>) -> Result<String> {
    let params: [Param<'_>; 2] = [(&flow, Type::INT8), (&reverted, Type::TEXT)];
    let row = db.query_one(include_str!("sql/retry_flow.sql"), &params).await?;
    Columns::new(&row).get("result")
}
