//! Finding the module with which one host runs an operation.

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// The module of an operation on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedModule {
    /// The kind: `rust`, `python` or `command`.
    pub kind: String,
    /// The path of the executable, Python module or manifest.
    pub path: String,
    /// The path of the Python interpreter. `None` unless the module is a Python module.
    pub interpreter: Option<String>,
}

/// Returns the module with which a host runs an operation. `None` if the operation is not registered there.
pub async fn placed_module(db: &Db, operation: i64, host: &str) -> Result<Option<PlacedModule>> {
    let params: [Param<'_>; 2] = [(&operation, Type::INT8), (&host, Type::TEXT)];
    let row = db.query_opt(include_str!("sql/placed_module.sql"), &params).await?;
    let Some(row) = &row else { return Ok(None) };
    let row = Columns::of("placement", "id", row);
    Ok(Some(PlacedModule {
        kind: row.get("kind")?,
        path: row.get("path")?,
        interpreter: row.get("interpreter")?,
    }))
}
