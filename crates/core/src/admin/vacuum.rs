//! Deletes rows that are older than a given age: tasks, workers, monitors, leases, firings (the
//! records of the instants at which schedules were due), placements (the records that a host can
//! run an operation) and lanes (the numbers for what tasks need of a host).
//!
//! A task is deleted together with its runs and log lines, a bounded number at a time, so that running workers are not
//! disturbed. The runs and lines of tasks that are kept stay complete. `rework vacuum` and the hourly work of a monitor
//! (`crates/monitor/src/hourly.rs`) call these functions.

use std::time::Duration;

use tokio_postgres::{IsolationLevel, types::Type};

use crate::db::{
    connect::{Db, Param},
    error::{Error, Result},
    row::Columns,
};

/// Time limit of one statement. A statement reads few rows, but it may have to wait on a busy server.
const DEADLINE: Duration = Duration::from_secs(60);

/// The group of tasks that [`delete_tasks`] deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TasksToDelete {
    /// Tasks that have ended, with any result.
    Ended,
    /// Tasks in state `queued`, which no worker has claimed.
    Queued,
}

impl TasksToDelete {
    fn states(self) -> &'static [&'static str] {
        match self {
            TasksToDelete::Ended => &["done", "failed", "aborted", "lost"],
            TasksToDelete::Queued => &["queued"],
        }
    }
}

/// Deletes the tasks that ended longer than `age` ago, and returns how many. `domain` is `None` for all domains.
pub async fn delete_ended_tasks(db: &Db, domain: Option<&str>, age: Duration) -> Result<i64> {
    delete_tasks(db, TasksToDelete::Ended, domain, age).await
}

/// Deletes the selected tasks that ended (or were queued) longer than `age` ago, and returns how many.
///
/// `domain` is `None` for all domains.
pub async fn delete_tasks(
    db: &Db,
    selected: TasksToDelete,
    domain: Option<&str>,
    age: Duration,
) -> Result<i64> {
    let (states, age_ms) = (selected.states(), milliseconds(age));
    let mut deleted = 0;
    let mut after_id = 0_i64;
    loop {
        let params: [Param<'_>; 4] = [
            (&after_id, Type::INT8),
            (&states, Type::TEXT_ARRAY),
            (&domain, Type::TEXT),
            (&age_ms, Type::INT8),
        ];
        let sql = include_str!("sql/vacuum_tasks.sql");
        let rows = db.within(DEADLINE, db.client().query_typed(sql, &params)).await?;
        let Some(row) = rows.first() else { break };
        let row = Columns::new(row);
        deleted += row.get::<i64>("deleted")?;
        // Null: the scan found no task, so this is the end of the table.
        let Some(last) = row.get("last")? else { break };
        after_id = last;
    }
    if deleted > 0 {
        audit(db, "tasks", domain, deleted, age_ms).await?;
        db.query(include_str!("sql/drop_partitions.sql"), &[]).await?;
    }
    Ok(deleted)
}

/// Deletes the workers that finished longer than `age` ago, and returns how many. `domain` is `None` for all domains.
///
/// Then deletes the finished monitors and the leases that no row refers to any more.
pub async fn delete_workers(db: &Db, domain: Option<&str>, age: Duration) -> Result<i64> {
    let age_ms = milliseconds(age);
    let params: [Param<'_>; 2] = [(&domain, Type::TEXT), (&age_ms, Type::INT8)];
    let sql = include_str!("sql/vacuum_workers.sql");
    let rows = db.within(DEADLINE, db.client().query_typed(sql, &params)).await?;
    let deleted = rows.first().map_or(Ok(0), |row| Columns::new(row).get("deleted"))?;
    // Separate statements, so that each one sees the deletions of the one before.
    db.query(include_str!("sql/vacuum_monitors.sql"), &params).await?;
    db.query(include_str!("sql/vacuum_leases.sql"), &[]).await?;
    if deleted > 0 {
        audit(db, "workers", domain, deleted, age_ms).await?;
    }
    Ok(deleted)
}

/// Closes leases that no unfinished monitor and no unfinished worker uses, and reopens closed ones that are in use.
///
/// The last user of a lease normally closes it. This repairs the cases in which that did not happen.
pub async fn close_unused_leases(db: &Db) -> Result<()> {
    let every_lease: [Param<'_>; 1] = [(&None::<i64>, Type::INT8)];
    db.query(include_str!("../lease/sql/close_unused_leases.sql"), &every_lease).await?;
    db.query(include_str!("sql/reopen_leases.sql"), &[]).await.map(drop)
}

/// Deletes the firings of schedules that are more than a day old, except the last ones of each schedule. Also deletes
/// the periods in which monitors watched schedules, if nothing depends on them any more.
pub async fn delete_firings(db: &Db) -> Result<()> {
    let query = db.client().query_typed(include_str!("sql/vacuum_firings.sql"), &[]);
    db.within(DEADLINE, query).await?;
    let query = db.client().query_typed(include_str!("sql/vacuum_watch.sql"), &[]);
    db.within(DEADLINE, query).await.map(drop)
}

/// Deletes the lanes that were made at least `age` ago and that no task needs any more. Returns how many.
///
/// A lane is made again when a task needs it. Open transactions that schedule tasks keep the lanes of these tasks.
pub async fn sweep_lanes(db: &mut Db, age: Duration) -> Result<i64> {
    let age_ms = milliseconds(age);
    let sweeping = async {
        // The function needs this level, and the role may have another default.
        let builder = db.client_mut().build_transaction();
        let transaction = builder.isolation_level(IsolationLevel::ReadCommitted).start().await?;
        let params: [Param<'_>; 1] = [(&age_ms, Type::INT8)];
        let sql = include_str!("sql/sweep_lanes.sql");
        let row = transaction.query_typed_one(sql, &params).await?;
        transaction.commit().await?;
        Columns::new(&row).get("swept")
    };
    let swept = tokio::time::timeout(DEADLINE, sweeping).await;
    swept.unwrap_or(Err(Error::Deadline { seconds: DEADLINE.as_secs() }))
}

/// Deletes the placements of hosts that have had no running monitor for a day. Returns these hosts, sorted.
pub async fn delete_placements(db: &Db) -> Result<Vec<String>> {
    let query = db.client().query_typed(include_str!("sql/vacuum_placements.sql"), &[]);
    let rows = db.within(DEADLINE, query).await?;
    let hosts = rows.iter().map(|row| Columns::of("placement", "id", row).get("host"));
    let mut hosts = hosts.collect::<Result<Vec<String>>>()?;
    hosts.sort_unstable();
    hosts.dedup();
    Ok(hosts)
}

/// Records the deletion in `rework.audit`.
async fn audit(db: &Db, what: &str, domain: Option<&str>, deleted: i64, age_ms: i64) -> Result<()> {
    let subject = match domain {
        Some(domain) => format!("{what} of domain {domain}"),
        None => format!("{what} of all domains"),
    };
    let params: [Param<'_>; 3] =
        [(&subject, Type::TEXT), (&deleted, Type::INT8), (&age_ms, Type::INT8)];
    db.query(include_str!("sql/vacuum_audit.sql"), &params).await?;
    Ok(())
}

fn milliseconds(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}
