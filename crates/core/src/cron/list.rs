//! Lists schedules, each with its next due time and its last firing: the last instant at which it
//! was due, with the task that was made or the reason why none was.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::{
    cron::declare::Schedule,
    db::{connect::Db, error::Result, row::Columns},
};

/// A schedule with its current state. This is also the JSON that `rework list-scheduled` prints.
#[derive(Debug, Clone, Serialize)]
pub struct ListedSchedule {
    pub id: i64,
    #[serde(flatten)]
    pub schedule: Schedule,
    /// The time at which the schedule fires next. `None` if it is paused, or if its rule never fires again.
    pub next_at: Option<DateTime<Utc>>,
    /// The time at which the schedule was declared last.
    #[serde(rename = "prepared_at")]
    pub declared_at: DateTime<Utc>,
    /// The last firing. `None` if the schedule has not fired yet.
    pub last: Option<LastFiring>,
    /// Whether the operation is no longer registered, so that the schedule makes no tasks.
    pub unregistered: bool,
}

/// The last firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastFiring {
    /// The instant at which the schedule was due.
    pub due_at: DateTime<Utc>,
    /// The task that was made. `None` if no task was made.
    pub task: Option<i64>,
    /// The reason why no task was made. `None` if a task was made.
    pub reason: Option<String>,
}

/// Returns the schedules of a domain, or of all domains if `domain` is `None`, ordered by operation name.
pub async fn list_scheduled(db: &Db, domain: Option<&str>) -> Result<Vec<ListedSchedule>> {
    let rows = db.query(include_str!("sql/list_scheduled.sql"), &[(&domain, Type::TEXT)]).await?;
    rows.iter().map(|row| read_schedule(Columns::of("schedule", "id", row))).collect()
}

fn read_schedule(row: Columns<'_>) -> Result<ListedSchedule> {
    let paused = row.get::<Option<DateTime<Utc>>>("paused_at")?.is_some();
    let next_at: Option<DateTime<Utc>> = row.get("next_at")?;
    let last: Option<DateTime<Utc>> = row.get("due_at")?;
    Ok(ListedSchedule {
        id: row.get("id")?,
        schedule: read_declaration(row, paused)?,
        next_at: next_at.filter(|_| !paused),
        declared_at: row.get("declared_at")?,
        last: match last {
            Some(due_at) => {
                Some(LastFiring { due_at, task: row.get("task")?, reason: row.get("reason")? })
            }
            None => None,
        },
        unregistered: row.get("unregistered")?,
    })
}

fn read_declaration(row: Columns<'_>, paused: bool) -> Result<Schedule> {
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
        missed: row.parsed("missed")?,
        overlap: row.parsed("overlap")?,
        paused,
    })
}
