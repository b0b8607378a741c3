//! Listing monitors, the processes that start and supervise the workers of their hosts.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::Type;

use crate::{
    db::{connect::Db, error::Result, row::Columns},
    fleet::start_fault::StartFault,
    pause::row::Pause,
};

/// A monitor. The JSON of a monitor has exactly these keys, in this order.
#[derive(Debug, Clone, Serialize)]
pub struct Monitor {
    pub id: i64,
    pub host: String,
    pub pid: i32,
    /// The domains that the monitor serves.
    pub domains: Vec<String>,
    /// The capabilities that the host of the monitor offers, by their names (option `--capability`). The host does not
    /// run tasks that need others.
    pub capabilities: Vec<String>,
    /// The options of the monitor: `minworkers`, `maxworkers`, …
    pub options: Value,
    /// How the process trees of the monitor's runners are found and killed: `cgroup` or
    /// `processes`.
    pub containment: String,
    /// How memory limits are enforced: `cgroup2`, `cgroup1` or `sampled`.
    pub memory: String,
    /// The version of the binary.
    pub version: String,
    /// The operations and domains that the monitor cannot start on its host now.
    pub start_faults: Vec<StartFault>,
    /// When the monitor was registered.
    pub started_at: DateTime<Utc>,
    /// When the monitor last renewed its lease.
    pub renewed_at: DateTime<Utc>,
    /// When the monitor ended. `None` if its end is not recorded.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the monitor ended, for people. `None` if its end is not recorded.
    pub reason: Option<String>,
    /// The pauses of this host only. A pause of every host is not in the list.
    pub pauses: Vec<Pause>,
    /// Seconds since the last renewal of the lease, by the server's clock.
    #[serde(skip)]
    pub seconds_since_renewal: f64,
}

/// Returns the monitors that have not ended, oldest first. With `ended`, returns all monitors.
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
        start_faults: row.json("start_faults")?.unwrap_or_default(),
        started_at: row.get("started_at")?,
        renewed_at: row.get("renewed_at")?,
        finished_at: row.get("finished_at")?,
        reason: row.get("reason")?,
        pauses: row.json("pauses")?.unwrap_or_default(),
        seconds_since_renewal: row.get("seconds_since_renewal")?,
    })
}
