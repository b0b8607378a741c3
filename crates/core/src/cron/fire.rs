//! Fires schedules: makes the tasks of all schedules that are due.
//!
//! Any number of monitors may do this at the same time. `rework.fire` (`migrations/V16__schedules.sql`) advances a
//! schedule by compare-and-set and makes its tasks in the same transaction, so only one monitor succeeds.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use crate::{
    cron::{
        error::CronError,
        rule::{Missed, Rule},
    },
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
};

/// One instant at which a schedule was due, and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    pub schedule: i64,
    pub due_at: DateTime<Utc>,
    /// The task that was made. `None` if no task was made.
    pub task: Option<i64>,
    /// The reason why no task was made. `None` if a task was made.
    pub reason: Option<String>,
}

/// A schedule that is due, as it was read from the database.
struct DueSchedule {
    schedule: i64,
    rule: String,
    zone: String,
    missed: Missed,
    next_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// Fires all schedules of `domains` that are due.
///
/// Calls `on_result` with the id of the schedule for each firing that this call made, and for each schedule that could
/// not be fired. Firings that another monitor made are left out.
///
/// # Errors
///
/// `Err` if the connection to the database fails. Errors of a single schedule go to `on_result`.
pub async fn fire(
    db: &Db,
    domains: &[String],
    mut on_result: impl FnMut(i64, Result<Firing, CronError>),
) -> Result<()> {
    let params: [Param<'_>; 1] = [(&domains, Type::TEXT_ARRAY)];
    for row in db.query(include_str!("sql/due_schedules.sql"), &params).await? {
        let row = Columns::of("schedule", "id", &row);
        let schedule = row.get("id")?;
        // A row that cannot be read must not keep the other schedules from firing.
        let fired = match read_due(schedule, row) {
            Ok(due) => fire_one(db, &due).await,
            Err(error) => Err(error.into()),
        };
        match fired {
            Ok(firings) => firings.into_iter().for_each(|firing| on_result(schedule, Ok(firing))),
            Err(CronError::Database(error)) if error.is_connection() => return Err(error),
            Err(error) => on_result(schedule, Err(error)),
        }
    }
    Ok(())
}

fn read_due(schedule: i64, row: Columns<'_>) -> Result<DueSchedule> {
    Ok(DueSchedule {
        schedule,
        rule: row.get("rule")?,
        zone: row.get("zone")?,
        missed: row.parsed("missed")?,
        next_at: row.get("next_at")?,
        now: row.get("now")?,
    })
}

async fn fire_one(db: &Db, due: &DueSchedule) -> Result<Vec<Firing>, CronError> {
    let rule = Rule::parse(&due.rule, &due.zone)?;
    let instants = rule.due(due.next_at, due.now, due.missed);
    let next = rule.after(due.now);
    let params: [Param<'_>; 4] = [
        (&due.schedule, Type::INT8),
        (&due.next_at, Type::TIMESTAMPTZ),
        (&instants, Type::TIMESTAMPTZ_ARRAY),
        (&next, Type::TIMESTAMPTZ),
    ];
    let rows = db.query(include_str!("sql/fire.sql"), &params).await?;
    rows.iter().map(|row| Ok(read_firing(Columns::of("firing", "schedule", row))?)).collect()
}

fn read_firing(row: Columns<'_>) -> Result<Firing> {
    Ok(Firing {
        schedule: row.get("schedule")?,
        due_at: row.get("due_at")?,
        task: row.get("task")?,
        reason: row.get("reason")?,
    })
}
