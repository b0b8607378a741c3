//! Removes, pauses and resumes a schedule, or makes a task of it at once.

use chrono::{DateTime, Utc};
use tokio_postgres::{Row, types::Type};

use crate::{
    cron::{error::CronError, rule::Rule},
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
};

/// Removes a schedule and its firings, which record the instants at which the schedule was due. Its
/// tasks stay. Returns how many schedules were removed: 0 or 1.
pub async fn remove(db: &Db, schedule: i64) -> Result<u64> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    Ok(db.query(include_str!("sql/remove_scheduled.sql"), &params).await?.len() as u64)
}

/// The result of pausing or resuming a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseResult {
    /// The schedule was paused or resumed.
    Changed,
    /// The schedule was already in the requested state.
    Unchanged,
    /// No schedule has this id.
    NoSuchSchedule,
}

/// Pauses a schedule: it makes no tasks until it is resumed.
pub async fn pause(db: &Db, schedule: i64) -> Result<PauseResult> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    let row = db.query_opt(include_str!("sql/pause_scheduled.sql"), &params).await?;
    pause_result(row.as_ref())
}

/// Resumes a paused schedule. Instants during the pause are skipped: they do not count as missed.
///
/// # Errors
///
/// `Err` if the stored rule is not valid, or if the database fails.
pub async fn resume(db: &Db, schedule: i64) -> Result<PauseResult, CronError> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    let Some(row) = db.query_opt(include_str!("sql/scheduled_rule.sql"), &params).await? else {
        return Ok(PauseResult::NoSuchSchedule);
    };
    let row = Columns::of("schedule", "id", &row);
    let now: DateTime<Utc> = row.get("now")?;
    let next = Rule::parse(row.get("rule")?, row.get("zone")?)?.after(now);
    let params: [Param<'_>; 2] = [(&schedule, Type::INT8), (&next, Type::TIMESTAMPTZ)];
    let row = db.query_opt(include_str!("sql/resume_scheduled.sql"), &params).await?;
    Ok(pause_result(row.as_ref())?)
}

fn pause_result(row: Option<&Row>) -> Result<PauseResult> {
    let Some(row) = row else { return Ok(PauseResult::NoSuchSchedule) };
    Ok(if Columns::new(row).get("changed")? {
        PauseResult::Changed
    } else {
        PauseResult::Unchanged
    })
}

/// Makes a task of a schedule now, also if the schedule is paused. Returns the id of the task, or
/// `None` if no schedule has this id. `Err` with SQLSTATE `RW404` if the operation is not
/// registered any more.
pub async fn run_now(db: &Db, schedule: i64) -> Result<Option<i64>> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    let row = db.query_one(include_str!("sql/run_scheduled.sql"), &params).await?;
    Columns::new(&row).get("task")
}
