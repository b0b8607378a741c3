//! Fires schedules: makes the tasks of all schedules that are due, many in one transaction.
//!
//! Any number of monitors may do this at the same time. `rework.fire` (`migrations/V16__schedules.sql`) advances a
//! schedule by compare-and-set and makes its tasks in the same transaction, so only one monitor succeeds. Monitors skip
//! the schedules that another one is firing, and so share the work. `fire/plan.rs` and `due.rs` decide for which
//! instants tasks are made.

mod plan;

use std::{
    collections::{HashMap, HashSet},
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

/// When more schedules than this could not be fired, this call ends. They are tried again a second later.
const MAX_PASSED_OVER: usize = 20_000;

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

/// The result of firing some of the schedules that were due.
#[derive(Debug, Default)]
pub struct FiredPage {
    /// The firings that were recorded. Those that another monitor made are left out.
    pub firings: Vec<Firing>,
    /// The schedules that could not be fired, by their ids.
    pub failures: Vec<(i64, CronError)>,
    /// How long the first schedule of the page had waited although a monitor watched it.
    pub late: Duration,
}

/// Fires all schedules of `domains` that are due. `size` limits how many are fired together; it is kept between calls.
///
/// Calls `on_page` again and again with what was fired. Returns how long the first of those that are left has waited
/// although a monitor watched it. They failed, or other transactions have locked them. Zero if none is left.
///
/// # Errors
///
/// `Err` if the connection to the database fails. Errors of a single schedule go to `on_page`.
pub async fn fire(
    db: &Db,
    domains: &[String],
    size: &SizeLimit,
    mut on_page: impl FnMut(FiredPage),
) -> Result<Duration> {
    let mut planner = Planner::default();
    let mut tried: HashSet<(i64, DateTime<Utc>)> = HashSet::new();
    let mut passed_over: Vec<i64> = Vec::new();
    let mut left = Duration::ZERO;
    while passed_over.len() <= MAX_PASSED_OVER {
        let (due, unreadable) = due_schedules(db, domains, &passed_over, size.get()).await?;
        if due.is_empty() && unreadable.is_empty() {
            break;
        }
        // Read for each page, because instants also come due while earlier pages are fired.
        planner.set_watched(watched_periods(db, domains).await?);
        let mut page = FiredPage { late: planner.late(due.first()), ..FiredPage::default() };
        // A schedule that is still due at the same instant is locked by another transaction, or it failed.
        let (again, new): (Vec<DueSchedule>, Vec<DueSchedule>) =
            due.into_iter().partition(|due| tried.contains(&(due.schedule, due.next_at)));
        left = left.max(planner.late(again.first()));
        passed_over.extend(again.iter().map(|due| due.schedule));
        passed_over.extend(unreadable.iter().map(|(schedule, _)| *schedule));
        tried.extend(new.iter().map(|due| (due.schedule, due.next_at)));
        page.failures = unreadable;
        let planned = planner.plan(&new, size.get(), &mut page.failures);
        for group in together(planned, size.get()) {
            fire_together(db, &group, size, &mut page).await?;
        }
        on_page(page);
    }
    Ok(left)
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

/// Reads at most `limit` schedules that are due, the longest due first. Also returns the schedules that cannot be read:
/// they must not keep the other schedules from firing.
async fn due_schedules(
    db: &Db,
    domains: &[String],
    passed_over: &[i64],
    limit: usize,
) -> Result<(Vec<DueSchedule>, Vec<(i64, CronError)>)> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params: [Param<'_>; 3] = [
        (&domains, Type::TEXT_ARRAY),
        (&passed_over, Type::INT8_ARRAY),
        (&limit, Type::INT8),
    ];
    let (mut due, mut unreadable) = (Vec::new(), Vec::new());
    for row in db.query(include_str!("sql/due_schedules.sql"), &params).await? {
        let row = Columns::of("schedule", "id", &row);
        let schedule = row.get("id")?;
        match read_due(schedule, row) {
            Ok(read) => due.push(read),
            Err(error) => unreadable.push((schedule, error.into())),
        }
    }
    Ok((due, unreadable))
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

/// Fires schedules in one transaction. If the database refuses that, fires them one by one, so that a bad one does not
/// keep the others from firing. `Err` if the connection fails.
async fn fire_together(
    db: &Db,
    planned: &[PlannedFiring],
    size: &SizeLimit,
    page: &mut FiredPage,
) -> Result<()> {
    let started = Instant::now();
    let answer = send(db, planned).await;
    let rows: usize = planned.iter().map(|one| one.due.instants.len().max(1)).sum();
    size.record(rows, &answer);
    if started.elapsed() > SLOW {
        size.lower(rows);
    }
    match answer {
        Ok(firings) => page.firings.extend(firings),
        Err(error) if error.is_connection() => return Err(error),
        Err(error) if planned.len() == 1 => page.failures.push((planned[0].schedule, error.into())),
        Err(error) => {
            tracing::debug!("schedules are fired one by one: {error}");
            for one in planned {
                match send(db, std::slice::from_ref(one)).await {
                    Ok(firings) => page.firings.extend(firings),
                    Err(error) if error.is_connection() => return Err(error),
                    Err(error) => page.failures.push((one.schedule, error.into())),
                }
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
