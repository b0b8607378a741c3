//! Finding the operations that a flow uses. The compiler of flows (`crates/flow`) chooses among them.

use rework_flow::operations::{Operation, Operations, properties};
use serde_json::Value;
use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// Returns the operations with these names, of all domains.
pub async fn find_operations(db: &Db, names: &[&str]) -> Result<Operations> {
    let rows =
        db.query(include_str!("sql/find_operations.sql"), &[(&names, Type::TEXT_ARRAY)]).await?;
    let read = |row| {
        let row = Columns::of("operation", "id", row);
        Ok(Operation {
            id: row.get("id")?,
            domain: row.get("domain")?,
            name: row.get("name")?,
            properties: properties(row.get::<Option<Value>>("input_schema")?.as_ref()),
            is_flow: row.get("is_flow")?,
            is_registered: row.get("registered")?,
        })
    };
    rows.iter().map(read).collect()
}
