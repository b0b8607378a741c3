//! One operation by its name: its schemas and limits, for whoever fills in or checks an input
//! before scheduling.

use tokio_postgres::{GenericClient, types::Type};

use crate::db::{error::Result, row::Columns};
use rework_wire::operation::{Definition, Limits};

/// An operation as it is registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its row.
    pub id: i64,
    /// Counts its changes.
    pub version: i64,
    pub definition: Definition,
}

/// Finds it as `rework.schedule` does, and is refused likewise: `RW404` where it is not
/// registered, `RW300` where several domains have it and none is named.
pub async fn find(
    client: &impl GenericClient,
    name: &str,
    domain: Option<&str>,
) -> Result<Operation> {
    let row = client
        .query_typed_one(
            include_str!("sql/operation_schema.sql"),
            &[(&name, Type::TEXT), (&domain, Type::TEXT)],
        )
        .await?;
    let row = Columns::of("operation", "id", &row);
    let definition = definition(row)?;
    Ok(Operation { id: row.get("id")?, version: row.get("version")?, definition })
}

/// The definition in a row that has the columns of an operation.
pub(crate) fn definition(row: Columns<'_>) -> Result<Definition> {
    Ok(Definition {
        domain: row.get("domain")?,
        name: row.get("name")?,
        input: row.get("input_schema")?,
        output: row.get("output_schema")?,
        output_form: row.word("output_form")?,
        limits: Limits {
            timeout_ms: row.get("timeout_ms")?,
            memory_bytes: row.get("memory_bytes")?,
            attempts: row.get("attempts")?,
            grace_ms: row.get("grace_ms")?,
            retry_lost: row.get("retry_lost")?,
            priority: row.get("priority")?,
            concurrency: row.get("concurrency")?,
        },
    })
}
