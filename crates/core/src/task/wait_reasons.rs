//! The reasons for which a task stays queued: hosts cannot run its operation now, or all workers are busy. They are
//! shown to people and decide nothing.

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

/// The workers that could run a queued task, all of which run other tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyWorkers {
    pub domain: String,
    /// The number of workers.
    pub workers: i64,
    /// The tasks that they run.
    pub tasks: Vec<i64>,
}

/// Returns the workers that could run a queued task if all of them are busy. `None` if one is free, if there are none,
/// or if the task is in another state.
pub async fn busy_workers(db: &Db, task: i64) -> Result<Option<BusyWorkers>> {
    let row = db.query_opt(include_str!("sql/busy_workers.sql"), &[(&task, Type::INT8)]).await?;
    let Some(row) = &row else { return Ok(None) };
    let row = Columns::of("task", "id", row);
    let (workers, busy): (i64, i64) = (row.get("workers")?, row.get("busy")?);
    if busy < workers {
        return Ok(None);
    }
    Ok(Some(BusyWorkers { domain: row.get("domain")?, workers, tasks: row.get("tasks")? }))
}
