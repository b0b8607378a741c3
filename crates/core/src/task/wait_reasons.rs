//! The reasons for which hosts leave a task queued: the operation is not available there, or cannot be started. They
//! are shown to people and decide nothing.

use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// The reason for which one host leaves a task queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitReason {
    pub host: String,
    /// Whether the check of the operation has answered that the host cannot run it now. If not, the host could not
    /// start it.
    pub unavailable: bool,
    /// The answer of the check, or the last error, for people.
    pub reason: String,
}

/// Returns why hosts leave a queued task in the queue, in the order of their names. Empty for a task in another state.
pub async fn wait_reasons(db: &Db, task: i64) -> Result<Vec<WaitReason>> {
    let rows = db.query(include_str!("sql/wait_reasons.sql"), &[(&task, Type::INT8)]).await?;
    rows.iter().map(|row| wait_reason(Columns::of("task", "id", row))).collect()
}

fn wait_reason(row: Columns<'_>) -> Result<WaitReason> {
    Ok(WaitReason {
        host: row.get("host")?,
        unavailable: row.get("unavailable")?,
        reason: row.get("reason")?,
    })
}
