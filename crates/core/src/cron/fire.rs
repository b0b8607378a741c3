//! Fire: schedules that are due make their tasks. Any number of monitors may do it at once: the
//! database lets one of them move a schedule on, with all its tasks or not at all.

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

/// What came of an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    pub schedule: i64,
    pub due_at: DateTime<Utc>,
    /// The task that it made; none: it made none.
    pub task: Option<i64>,
    /// Why not.
    pub reason: Option<String>,
}

/// A schedule that is due.
struct Due {
    schedule: i64,
    rule: String,
    zone: String,
    missed: Missed,
    next_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// Fires what is due in these domains. `note` hears of every tick that was ours, and of schedules
/// that cannot be fired.
pub async fn fire(
    db: &Db,
    domains: &[String],
    mut note: impl FnMut(i64, Result<Tick, CronError>),
) -> Result<()> {
    let params: [Param<'_>; 1] = [(&domains, Type::TEXT_ARRAY)];
    for row in db.query(include_str!("sql/due_schedules.sql"), &params).await? {
        let row = Columns::of("schedule", "id", &row);
        let schedule = row.get("id")?;
        // A row that cannot be read keeps no other schedule from being fired.
        let fired = match due(schedule, row) {
            Ok(due) => fire_one(db, &due).await,
            Err(error) => Err(error.into()),
        };
        match fired {
            Ok(ticks) => ticks.into_iter().for_each(|tick| note(schedule, Ok(tick))),
            Err(CronError::Database(error)) if error.is_connection() => return Err(error),
            Err(error) => note(schedule, Err(error)),
        }
    }
    Ok(())
}

fn due(schedule: i64, row: Columns<'_>) -> Result<Due> {
    Ok(Due {
        schedule,
        rule: row.get("rule")?,
        zone: row.get("zone")?,
        missed: row.word("missed")?,
        next_at: row.get("next_at")?,
        now: row.get("now")?,
    })
}

async fn fire_one(db: &Db, due: &Due) -> Result<Vec<Tick>, CronError> {
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
    rows.iter().map(|row| Ok(tick(Columns::of("tick", "schedule", row))?)).collect()
}

fn tick(row: Columns<'_>) -> Result<Tick> {
    Ok(Tick {
        schedule: row.get("schedule")?,
        due_at: row.get("due_at")?,
        task: row.get("task")?,
        reason: row.get("reason")?,
    })
}
