//! List schedules: what is prepared, when it comes due next, and what came of the last time.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::{
    cron::add::Schedule,
    db::{connect::Db, error::Result, row::Columns},
};

/// A schedule as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    pub id: i64,
    #[serde(flatten)]
    pub schedule: Schedule,
    /// When it comes due next; none: it is paused.
    pub next_at: Option<DateTime<Utc>>,
    pub prepared_at: DateTime<Utc>,
    /// The instant for which it was due last.
    pub last: Option<Last>,
    /// Its operation is not registered any more: it makes no tasks.
    pub unregistered: bool,
}

/// The last tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Last {
    /// The instant.
    pub due_at: DateTime<Utc>,
    /// Its task; none: none was made.
    pub task: Option<i64>,
    /// Why not.
    pub reason: Option<String>,
}

/// The schedules of a domain (none: of all), in the order of their operations.
pub async fn list_scheduled(db: &Db, domain: Option<&str>) -> Result<Vec<Listed>> {
    let rows = db.query(include_str!("sql/list_scheduled.sql"), &[(&domain, Type::TEXT)]).await?;
    rows.iter().map(|row| listed(Columns::of("schedule", "id", row))).collect()
}

fn listed(row: Columns<'_>) -> Result<Listed> {
    let paused = row.get::<Option<DateTime<Utc>>>("paused_at")?.is_some();
    let next_at: Option<DateTime<Utc>> = row.get("next_at")?;
    let last: Option<DateTime<Utc>> = row.get("due_at")?;
    Ok(Listed {
        id: row.get("id")?,
        schedule: schedule(row, paused)?,
        next_at: next_at.filter(|_| !paused),
        prepared_at: row.get("prepared_at")?,
        last: match last {
            Some(due_at) => {
                Some(Last { due_at, task: row.get("task")?, reason: row.get("reason")? })
            }
            None => None,
        },
        unregistered: row.get("unregistered")?,
    })
}

fn schedule(row: Columns<'_>, paused: bool) -> Result<Schedule> {
    let bytes: Option<Vec<u8>> = row.get("input_bytes")?;
    Ok(Schedule {
        operation: row.get("operation")?,
        domain: row.get("domain")?,
        rule: row.get("rule")?,
        zone: row.get("zone")?,
        host: row.get("host")?,
        priority: Some(row.get("priority")?),
        capabilities: row.get("capabilities")?,
        input: row.json("input")?,
        input_base64: bytes.map(|bytes| BASE64_STANDARD.encode(bytes)),
        metadata: row.json("metadata")?,
        missed: row.word("missed")?,
        overlap: row.word("overlap")?,
        paused,
    })
}
