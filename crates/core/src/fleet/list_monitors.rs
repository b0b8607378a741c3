//! List monitors: the processes that keep the workers of their hosts.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::Type;

use crate::db::{connect::Db, error::Result, row::Columns};

/// A monitor. Its JSON has exactly these keys, in this order.
#[derive(Debug, Clone, Serialize)]
pub struct Monitor {
    pub id: i64,
    /// Where it runs.
    pub host: String,
    /// Its process.
    pub pid: i32,
    /// The domains whose workers it keeps.
    pub domains: Vec<String>,
    /// What its host offers.
    pub capabilities: Vec<String>,
    /// Its options: `minworkers`, `maxworkers`, …
    pub options: Value,
    /// How the process trees of its runners die: `cgroup` or `processes`.
    pub containment: String,
    /// How memory limits are kept: `cgroup2`, `cgroup1` or `sampled`.
    pub memory: String,
    /// Of its binary.
    pub version: String,
    /// When it was up.
    pub started_at: DateTime<Utc>,
    /// When it was seen last.
    pub renewed_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it ended, in words.
    pub reason: Option<String>,
    /// Seconds since it was seen last, by the server's clock.
    #[serde(skip)]
    pub unseen_seconds: f64,
}

/// The monitors that live or, with `ended` too, all, first one first.
pub async fn list(db: &Db, ended: bool) -> Result<Vec<Monitor>> {
    let rows = db.query(include_str!("sql/list_monitors.sql"), &[(&ended, Type::BOOL)]).await?;
    rows.iter().map(|row| monitor(Columns::of("monitor", "id", row))).collect()
}

fn monitor(row: Columns<'_>) -> Result<Monitor> {
    Ok(Monitor {
        id: row.get("id")?,
        host: row.get("host")?,
        pid: row.get("pid")?,
        domains: row.get("domains")?,
        capabilities: row.get("capabilities")?,
        options: row.json("options")?.unwrap_or_default(),
        containment: row.get("containment")?,
        memory: row.get("memory")?,
        version: row.get("version")?,
        started_at: row.get("started_at")?,
        renewed_at: row.get("renewed_at")?,
        finished_at: row.get("finished_at")?,
        reason: row.get("reason")?,
        unseen_seconds: row.get("unseen_seconds")?,
    })
}
