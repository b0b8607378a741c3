//! Finding an operation by its name, with its schemas and limits. Clients use the schemas to complete and to validate
//! an input before they schedule a task.

use tokio_postgres::{GenericClient, types::Type};

use crate::db::{error::Result, row::Columns};
use rework_wire::operation::{Definition, Limits};

/// A registered operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub id: i64,
    /// The version, which counts the changes of the definition.
    pub version: i64,
    pub definition: Definition,
}

/// Finds an operation with the same rules as `rework.schedule`. `Err` with SQLSTATE `RW404` if the
/// operation is not registered, and with `RW300` if several domains have it and `domain` is `None`.
pub async fn find(
    client: &impl GenericClient,
    name: &str,
    domain: Option<&str>,
) -> Result<Operation> {
    let row = client
        .query_typed_one(
            include_str!("sql/find_operation.sql"),
            &[(&name, Type::TEXT), (&domain, Type::TEXT)],
        )
        .await?;
    let row = Columns::of("operation", "id", &row);
    let definition = definition(row)?;
    Ok(Operation { id: row.get("id")?, version: row.get("version")?, definition })
}

/// Reads the definition from a row with the columns of an operation.
pub(crate) fn definition(row: Columns<'_>) -> Result<Definition> {
    Ok(Definition {
        domain: row.get("domain")?,
        name: row.get("name")?,
        input: row.get("input_schema")?,
        output: row.get("output_schema")?,
        output_form: row.parsed("output_form")?,
        limits: Limits {
            timeout_ms: row.get("timeout_ms")?,
            memory_bytes: row.get("memory_bytes")?,
            attempts: row.get("attempts")?,
            grace_ms: row.get("grace_ms")?,
            retry_lost: row.get("retry_lost")?,
            priority: row.get("priority")?,
            concurrency: row.get("concurrency")?,
            retry: row.json("retry")?,
        },
        available: row.get("available")?,
        run_after: row.get("run_after")?,
        run_before: row.get("run_before")?,
        on_failure: row.get("on_failure")?,
        is_flow: row.get("is_flow")?,
    })
}
