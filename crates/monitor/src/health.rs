//! The health of the monitor, which it answers over HTTP at `/health` and `/ready`.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State as Shared, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::spawn_local};

use crate::state::State;

/// The monitor is unhealthy if tasks have waited this long beside a free slot.
const NEGLECTED: Duration = Duration::from_secs(15);

/// What the event loop has found out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// Whether the database answers and the monitor is not about to end.
    serves: bool,
    /// The domains in which tasks wait, slots are free, and nothing is claimed, and since when.
    waiting: BTreeMap<String, Instant>,
}

impl State {
    pub(crate) fn report(&self, serves: bool) -> Report {
        let waiting = self.pools.iter();
        let waiting =
            waiting.filter_map(|(domain, pool)| Some((domain.clone(), pool.waits_since?)));
        Report { serves: serves && self.drain.is_none(), waiting: waiting.collect() }
    }
}

/// The last report, shared with the HTTP server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<Report>>);

impl Health {
    pub(crate) fn set(&self, report: Report) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    fn get(&self) -> Report {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers requests from now on.
    pub(crate) async fn serve(&self, address: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!("/health and /ready at http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .with_state(self.clone());
        spawn_local(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!("nobody can ask for the health any more: {error}");
            }
        });
        Ok(())
    }
}

/// Fails if a restart may help: tasks wait, slots are free, and nothing is claimed.
async fn health(Shared(health): Shared<Health>) -> (StatusCode, Json<Value>) {
    let now = Instant::now();
    let neglected: BTreeMap<String, u64> = health
        .get()
        .waiting
        .into_iter()
        .map(|(domain, since)| (domain, now.duration_since(since)))
        .filter(|(_, long)| *long >= NEGLECTED)
        .map(|(domain, long)| (domain, long.as_secs()))
        .collect();
    let healthy = neglected.is_empty();
    let body = json!({ "healthy": healthy, "neglected_seconds": neglected });
    (code(healthy), Json(body))
}

/// Fails if no task would be claimed now: the database is away, or the monitor ends.
async fn ready(Shared(health): Shared<Health>) -> (StatusCode, Json<Value>) {
    let ready = health.get().serves;
    (code(ready), Json(json!({ "ready": ready })))
}

fn code(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
