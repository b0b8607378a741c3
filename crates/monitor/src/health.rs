//! The health of the monitor: an HTTP server that answers requests for `/health` and `/ready`.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State as Shared, http::StatusCode, routing::get};
use rework_core::fleet::start_fault::StartFault;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::spawn_local};

use crate::state::State;

/// How long tasks may wait while a worker is free, before the monitor counts as unhealthy. Normally a free worker
/// claims a task within a second or two.
const NEGLECTED_AFTER: Duration = Duration::from_secs(15);

/// The part of the state that the health depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct HealthStatus {
    /// Whether the database replies and the monitor is not ending.
    is_ready: bool,
    /// The domains in which tasks wait although a worker is free or could be started, with the time since when.
    waiting: BTreeMap<String, Instant>,
    /// The operations and domains that the host cannot start now.
    start_faults: Vec<StartFault>,
    /// How long the first of the schedules that are due has waited for its task. `None` if schedules fire in time.
    schedules_late: Option<Duration>,
    /// The processes with a statement that has missed its deadline several times in a row, each with what the statement
    /// is about.
    overdue_statements: BTreeMap<String, String>,
}

impl State {
    /// Creates the status after a poll. `has_reply` is `true` if the database replied.
    pub(crate) fn health_status(&self, has_reply: bool, now: Instant) -> HealthStatus {
        let waiting = self.pools.iter();
        let waiting =
            waiting.filter_map(|(domain, pool)| Some((domain.clone(), pool.waits_since?)));
        HealthStatus {
            is_ready: has_reply && self.drain.is_none(),
            waiting: waiting.collect(),
            start_faults: self.start_faults(),
            schedules_late: self.schedule_lateness.late(),
            overdue_statements: self.overdue_statements.recent(now),
        }
    }
}

/// The last status, shared with the HTTP server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<HealthStatus>>);

impl Health {
    pub(crate) fn set(&self, status: HealthStatus) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn get(&self) -> HealthStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the HTTP server in the background.
    pub(crate) async fn serve(&self, address: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!("/health and /ready at http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .with_state(self.clone());
        spawn_local(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!("the HTTP server for /health and /ready has ended: {error}");
            }
        });
        Ok(())
    }
}

/// Answers `/health`. Fails if a restart of the monitor may help: tasks wait, a worker is free, and no task is claimed;
/// or this host can start no task of a domain. The body shows other troubles while they last, which do not count as
/// unhealthy: late schedules and overdue statements, because a restart would not help; and an operation that cannot be
/// started, because a restart would kill the running tasks of all others.
async fn health(Shared(health): Shared<Health>) -> (StatusCode, Json<Value>) {
    let now = Instant::now();
    let status = health.get();
    let neglected: BTreeMap<String, u64> = status
        .waiting
        .into_iter()
        .map(|(domain, since)| (domain, now.duration_since(since)))
        .filter(|(_, duration)| *duration >= NEGLECTED_AFTER)
        .map(|(domain, duration)| (domain, duration.as_secs()))
        .collect();
    let healthy =
        neglected.is_empty() && status.start_faults.iter().all(|fault| fault.operation.is_some());
    let mut body = json!({ "healthy": healthy, "neglected_seconds": neglected });
    if !status.start_faults.is_empty() {
        body["start_faults"] = json!(status.start_faults);
    }
    if let Some(late) = status.schedules_late {
        body["schedules_late_seconds"] = json!(late.as_secs());
    }
    if !status.overdue_statements.is_empty() {
        body["overdue_statements"] = json!(status.overdue_statements);
    }
    (status_code(healthy), Json(body))
}

/// Answers `/ready`. Fails if no task would be claimed now: the database is unavailable, or the monitor is ending.
async fn ready(Shared(health): Shared<Health>) -> (StatusCode, Json<Value>) {
    let ready = health.get().is_ready;
    (status_code(ready), Json(json!({ "ready": ready })))
}

fn status_code(is_ok: bool) -> StatusCode {
    if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
