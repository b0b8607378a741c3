//! What is prepared: taking it away, pausing it, letting it go on, and running it now.

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

/// Takes a schedule away, and its ticks with it; its tasks stay. How many it was: 0 or 1.
pub async fn unprepare(db: &Db, schedule: i64) -> Result<u64> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    Ok(db.query(include_str!("sql/unprepare.sql"), &params).await?.len() as u64)
}

/// What became of a pause or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is so now.
    Now,
    /// It was so before.
    Already,
    /// There is no such schedule.
    Unknown,
}

/// Pauses a schedule: it makes no tasks until it goes on.
pub async fn pause(db: &Db, schedule: i64) -> Result<Held> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    let row = db.query_opt(include_str!("sql/pause_scheduled.sql"), &params).await?;
    held(row.as_ref())
}

/// Lets a schedule go on. The instants of its pause are past: none of them was missed.
pub async fn resume(db: &Db, schedule: i64) -> Result<Held, CronError> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    let Some(row) = db.query_opt(include_str!("sql/scheduled_rule.sql"), &params).await? else {
        return Ok(Held::Unknown);
    };
    let row = Columns::of("schedule", "id", &row);
    let now: DateTime<Utc> = row.get("now")?;
    let next = Rule::parse(row.get("rule")?, row.get("zone")?)?.after(now);
    let params: [Param<'_>; 2] = [(&schedule, Type::INT8), (&next, Type::TIMESTAMPTZ)];
    let row = db.query_opt(include_str!("sql/resume_scheduled.sql"), &params).await?;
    Ok(held(row.as_ref())?)
}

fn held(row: Option<&Row>) -> Result<Held> {
    let Some(row) = row else { return Ok(Held::Unknown) };
    Ok(if Columns::new(row).get("changed")? { Held::Now } else { Held::Already })
}

/// Makes a task of a schedule now, paused or not; none: there is no such schedule.
pub async fn run_now(db: &Db, schedule: i64) -> Result<Option<i64>> {
    let params: [Param<'_>; 1] = [(&schedule, Type::INT8)];
    let row = db.query_one(include_str!("sql/run_scheduled.sql"), &params).await?;
    Columns::new(&row).get("task")
}
