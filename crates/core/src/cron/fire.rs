//! Fires schedules: makes the tasks of all schedules that are due, many in one transaction.
//!
//! Any number of monitors may do this at the same time. `rework.fire` (`migrations/V16__schedules.sql`) advances a
//! schedule by compare-and-set and makes its tasks in the same transaction, so only one monitor succeeds. Monitors skip
//! the schedules that another one is firing, and so share the work. `fire/plan.rs` and `due.rs` decide for which
//! instants tasks are made.

mod plan;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use self::plan::{DueSchedule, PlannedFiring, Planner, together};
use crate::{
    cron::{due::WatchedPeriod, error::CronError},
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
        size_limit::SizeLimit,
    },
};

/// The most schedules, and the most instants, of one statement. A statement of this size takes about 100 ms. The polls
/// of the monitor use the same connection, and wait that long.
pub const MAX_TOGETHER: usize = 2000;

/// If a statement takes longer than this, the next one is smaller, so that the polls of the monitor are not delayed.
const SLOW: Duration = Duration::from_millis(700);

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

/// The result of firing some of the schedules that were due: a page of them.
#[derive(Debug)]
pub struct FiredPage {
    /// The firings that were recorded. Those that another monitor made are left out.
    pub firings: Vec<Firing>,
    /// The schedules that could not be fired, by their ids.
    pub failures: Vec<(i64, CronError)>,
    /// How long the first schedule of the page had waited although a monitor watched it.
    pub late: Duration,
}

/// Schedules that are due, as they were read together.
#[derive(Debug, Default)]
struct DuePage {
    due: Vec<DueSchedule>,
    /// The schedules that cannot be read, by their ids. They must not keep the others from firing.
    unreadable: Vec<(i64, CronError)>,
    /// The last schedule of the page. `None` if the page is empty.
    last: Option<Position>,
}

/// The position of a schedule among those that are due: the time at which it is due, as Postgres writes it, and its id.
type Position = (String, i64);

/// Fires all schedules of `domains` that are due, page by page. `size` limits how many are fired together; it is kept
/// between calls.
///
/// Calls `on_page` after each page. A schedule that another transaction has locked is left out, and is due again in the
/// next call.
///
/// # Errors
///
/// `Err` if the connection to the database fails. Errors of a single schedule go to `on_page`.
pub async fn fire(
    db: &Db,
    domains: &[String],
    size: &SizeLimit,
    mut on_page: impl FnMut(FiredPage),
) -> Result<()> {
    let mut planner = Planner::default();
    let mut after: Option<Position> = None;
    loop {
        let limit = size.get();
        let read = due_schedules(db, domains, after.as_ref(), limit).await?;
        if read.last.is_none() {
            return Ok(());
        }
        after = read.last;
        // Read for each page, because instants also come due while earlier pages are fired.
        planner.set_watched(watched_periods(db, domains).await?);
        let late = planner.late(read.due.first());
        let mut page = FiredPage { firings: Vec::new(), failures: read.unreadable, late };
        let firings = planner.plan(&read.due, limit, &mut page.failures);
        fire_groups(db, together(firings, limit), size, &mut page).await?;
        on_page(page);
    }
}

/// Reads the periods in which a monitor watched the domains.
async fn watched_periods(
    db: &Db,
    domains: &[String],
) -> Result<HashMap<String, Vec<WatchedPeriod>>> {
    let params: [Param<'_>; 1] = [(&domains, Type::TEXT_ARRAY)];
    let mut watched: HashMap<String, Vec<WatchedPeriod>> = HashMap::new();
    for row in db.query(include_str!("sql/watched_periods.sql"), &params).await? {
        let row = Columns::of("schedule_watch", "id", &row);
        match read_period(row) {
            Ok((domain, period)) => watched.entry(domain).or_default().push(period),
            // A row that cannot be read must not keep schedules from firing.
            Err(error) => tracing::warn!("instants of schedules may count as missed: {error}"),
        }
    }
    Ok(watched)
}

fn read_period(row: Columns<'_>) -> Result<(String, WatchedPeriod)> {
    let period = WatchedPeriod { since: row.get("since")?, until: row.get("until")? };
    Ok((row.get("domain")?, period))
}

/// Reads at most `limit` schedules that are due, the longest due first. `after` is the last one of the page before.
async fn due_schedules(
    db: &Db,
    domains: &[String],
    after: Option<&Position>,
    limit: usize,
) -> Result<DuePage> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (since, id) = after.map(|(since, id)| (since.as_str(), *id)).unzip();
    let params: [Param<'_>; 4] = [
        (&domains, Type::TEXT_ARRAY),
        (&since, Type::TEXT),
        (&id, Type::INT8),
        (&limit, Type::INT8),
    ];
    let mut page = DuePage::default();
    for row in db.query(include_str!("sql/due_schedules.sql"), &params).await? {
        let row = Columns::of("schedule", "id", &row);
        let schedule = row.get("id")?;
        page.last = Some((row.get("due_since")?, schedule));
        match read_due(schedule, row) {
            Ok(read) => page.due.push(read),
            Err(error) => page.unreadable.push((schedule, error.into())),
        }
    }
    Ok(page)
}

fn read_due(schedule: i64, row: Columns<'_>) -> Result<DueSchedule> {
    Ok(DueSchedule {
        schedule,
        domain: row.get("domain")?,
        rule: row.get("rule")?,
        zone: row.get("zone")?,
        missed: row.parsed("missed")?,
        next_at: row.get("next_at")?,
        now: row.get("now")?,
    })
}

/// Fires groups of schedules, each group in one transaction. If the database refuses that, divides the group, so that a
/// bad schedule does not keep the others from firing. `Err` if the connection fails.
async fn fire_groups(
    db: &Db,
    mut groups: Vec<Vec<PlannedFiring>>,
    size: &SizeLimit,
    page: &mut FiredPage,
) -> Result<()> {
    groups.reverse();
    while let Some(mut group) = groups.pop() {
        let started = Instant::now();
        let answer = send(db, &group).await;
        let rows: usize = group.iter().map(|one| one.due.instants.len().max(1)).sum();
        size.record(rows, &answer);
        if started.elapsed() > SLOW {
            size.lower(rows);
        }
        match answer {
            Ok(firings) => page.firings.extend(firings),
            Err(error) if error.is_connection() => return Err(error),
            Err(error) if group.len() == 1 => page.failures.push((group[0].schedule, error.into())),
            Err(error) => {
                tracing::debug!("{} schedules are fired in two parts: {error}", group.len());
                let second = group.split_off(group.len() / 2);
                groups.extend([second, group]);
            }
        }
    }
    Ok(())
}

async fn send(db: &Db, planned: &[PlannedFiring]) -> Result<Vec<Firing>> {
    let schedules: Vec<i64> = planned.iter().map(|one| one.schedule).collect();
    let was: Vec<DateTime<Utc>> = planned.iter().map(|one| one.was).collect();
    let nexts: Vec<Option<DateTime<Utc>>> = planned.iter().map(|one| one.due.next).collect();
    let instants = planned.iter().flat_map(|one| {
        let schedule = one.schedule;
        one.due.instants.iter().map(move |instant| (schedule, *instant))
    });
    let (instant_schedules, instants): (Vec<i64>, Vec<DateTime<Utc>>) = instants.unzip();
    let params: [Param<'_>; 5] = [
        (&schedules, Type::INT8_ARRAY),
        (&was, Type::TIMESTAMPTZ_ARRAY),
        (&nexts, Type::TIMESTAMPTZ_ARRAY),
        (&instant_schedules, Type::INT8_ARRAY),
        (&instants, Type::TIMESTAMPTZ_ARRAY),
    ];
    let rows = db.query(include_str!("sql/fire.sql"), &params).await?;
    rows.iter().map(|row| read_firing(Columns::of("firing", "schedule", row))).collect()
}

fn read_firing(row: Columns<'_>) -> Result<Firing> {
    Ok(Firing {
        schedule: row.get("schedule")?,
        due_at: row.get("due_at")?,
        task: row.get("task")?,
        reason: row.get("reason")?,
    })
}
