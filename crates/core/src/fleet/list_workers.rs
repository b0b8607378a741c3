//! Listing workers: those that are alive, and those that ended recently.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// A worker. Its JSON has exactly these keys, in this order.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    pub id: i64,
    /// The pid. `None` if the process is not started yet.
    pub pid: Option<i32>,
    pub host: String,
    /// The domain whose tasks the worker claims.
    pub domain: String,
    /// The id of the monitor that created the worker.
    pub monitor: i64,
    pub state: WorkerState,
    /// The id of the current task. If there are several, the one that started first. `None` if
    /// there is none.
    pub task: Option<i64>,
    /// The resident memory of the worker and all its descendants, in bytes.
    pub memory_bytes: i64,
    /// The processor time of the worker and all its descendants, in percent of one processor.
    pub cpu_percent: i32,
    /// How a user wants the worker to stop: `shutdown` or `kill`. `None` if no user does. The JSON
    /// key is the one that users know.
    #[serde(rename = "asked")]
    pub requested: Option<String>,
    /// When the monitor created the row of the worker.
    pub created_at: DateTime<Utc>,
    /// When the worker was ready to claim. `None` if it is not ready yet.
    pub started_at: Option<DateTime<Utc>>,
    /// When the worker ended. `None` if its end is not recorded.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the worker ended, for people. `None` if its end is not recorded.
    pub reason: Option<String>,
    /// Whether the worker has lost its monitor. Such a worker finishes its task under a lease of
    /// its own, and exits.
    pub orphan: bool,
}

/// The state of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// The row exists, and the process is not ready to claim yet.
    Unstarted,
    /// The worker waits for a task.
    Idle,
    /// The worker runs a task.
    Running,
    /// The worker has ended.
    Dead,
}

/// Returns the workers that are alive, and those that ended within the last `ended_ms` milliseconds, oldest first. With
/// `None` all workers are returned.
pub async fn list(db: &Db, ended_ms: Option<i64>) -> Result<Vec<Worker>> {
    let rows = db.query(include_str!("sql/list_workers.sql"), &[(&ended_ms, Type::INT8)]).await?;
    rows.iter().map(|row| worker(Columns::of("worker", "id", row))).collect()
}

fn worker(row: Columns<'_>) -> Result<Worker> {
    let (started_at, finished_at) = (row.get("started_at")?, row.get("finished_at")?);
    let task = row.get("task")?;
    Ok(Worker {
        id: row.get("id")?,
        pid: row.get("pid")?,
        host: row.get("host")?,
        domain: row.get("domain")?,
        monitor: row.get("monitor")?,
        state: state(started_at, finished_at, task),
        task,
        memory_bytes: row.get("memory_bytes")?,
        cpu_percent: row.get("cpu_percent")?,
        requested: row.get("requested")?,
        created_at: row.get("created_at")?,
        started_at,
        finished_at,
        reason: row.get("reason")?,
        orphan: row.get("orphan")?,
    })
}

fn state(
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    task: Option<i64>,
) -> WorkerState {
    match (finished_at, task, started_at) {
        (Some(_), ..) => WorkerState::Dead,
        (None, Some(_), _) => WorkerState::Running,
        (None, None, Some(_)) => WorkerState::Idle,
        (None, None, None) => WorkerState::Unstarted,
    }
}
