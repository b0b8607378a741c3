//! List workers: those that live, and those that ended lately.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// A worker. Its JSON has exactly these keys, in this order.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    pub id: i64,
    /// Its process; none: not started yet.
    pub pid: Option<i32>,
    /// Where it runs.
    pub host: String,
    /// The domain whose tasks it takes.
    pub domain: String,
    /// The monitor that made it.
    pub monitor: i64,
    /// What it is doing.
    pub state: WorkerState,
    /// The task in hand.
    pub task: Option<i64>,
    /// Of its whole process tree, in bytes.
    pub memory_bytes: i64,
    /// Of its whole process tree, in percent of one processor.
    pub cpu_percent: i32,
    /// What it was asked: `shutdown`, or `kill`.
    pub asked: Option<String>,
    /// When its monitor made it.
    pub created_at: DateTime<Utc>,
    /// When it was up.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it ended, in words.
    pub reason: Option<String>,
    /// Its monitor is gone: it finishes its task on a lease of its own, and leaves.
    pub orphan: bool,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// It was made, and is not up yet.
    Unstarted,
    /// It waits for a task.
    Idle,
    /// It has a task in hand.
    Running,
    /// It ended.
    Dead,
}

/// The workers that live, and those that ended within the last `ended_ms` milliseconds (none:
/// all), first one first.
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
        asked: row.get("asked")?,
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
