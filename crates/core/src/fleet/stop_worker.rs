//! Requests to stop a worker. A request is stored in the row of the worker. The monitor of the worker receives it with
//! its next poll (`monitor_poll.rs`) and carries it out.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// How a worker is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopMode {
    /// The worker exits when its current runs have ended.
    Shutdown,
    /// The worker and its current runs are killed at once.
    Kill,
}

/// The result of a request to stop a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopResult {
    /// The request is stored, and the monitor of the worker is notified.
    Requested,
    /// The worker had ended before the request.
    AlreadyEnded {
        at: Option<DateTime<Utc>>,
        /// Why the worker ended, for people. `None` if no reason is recorded.
        reason: Option<String>,
    },
    /// There is no such worker.
    NoSuchWorker,
}

/// Requests that a worker stops. A request to shut down does not replace a request to kill.
pub async fn stop_worker(db: &Db, worker: i64, mode: StopMode) -> Result<StopResult> {
    let mode = match mode {
        StopMode::Shutdown => "shutdown",
        StopMode::Kill => "kill",
    };
    let params: [Param<'_>; 2] = [(&worker, Type::INT8), (&mode, Type::TEXT)];
    if db.query_opt(include_str!("sql/stop_worker.sql"), &params).await?.is_some() {
        return Ok(StopResult::Requested);
    }
    let end = db.query_opt(include_str!("sql/worker_end.sql"), &params[..1]).await?;
    let Some(end) = &end else { return Ok(StopResult::NoSuchWorker) };
    let end = Columns::of("worker", "id", end);
    Ok(StopResult::AlreadyEnded { at: end.get("finished_at")?, reason: end.get("reason")? })
}
