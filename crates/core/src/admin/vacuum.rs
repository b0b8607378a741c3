//! Vacuum: deletes what is too old. Tasks go with their runs and log lines, a bounded number at a
//! time, so that a queue at work does not notice; workers go when no live task names them. The
//! history of what is kept is never touched.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// One statement looks at few rows, but a busy server may be slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// Which tasks are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that ended.
    Ended,
    /// Those in state `queued`, which nobody has claimed.
    Queued,
}

impl Which {
    fn states(self) -> &'static [&'static str] {
        match self {
            Which::Ended => &["done", "failed", "aborted", "lost"],
            Which::Queued => &["queued"],
        }
    }
}

/// Deletes the ended tasks of `domain` (none: of all) that ended longer ago than `age`, and says
/// how many they were.
pub async fn tasks_older_than(db: &Db, domain: Option<&str>, age: Duration) -> Result<i64> {
    tasks(db, Which::Ended, domain, age).await
}

/// Deletes tasks of `domain` (none: of all): ended ones that ended, or queued ones that were
/// queued, longer ago than `age`. Says how many they were.
pub async fn tasks(db: &Db, which: Which, domain: Option<&str>, age: Duration) -> Result<i64> {
    let (states, age_ms) = (which.states(), milliseconds(age));
    let mut deleted = 0;
    let mut from = 0_i64;
    loop {
        let params: [Param<'_>; 4] = [
            (&from, Type::INT8),
            (&states, Type::TEXT_ARRAY),
            (&domain, Type::TEXT),
            (&age_ms, Type::INT8),
        ];
        let sql = include_str!("sql/vacuum_tasks.sql");
        let rows = db.within(DEADLINE, db.client().query_typed(sql, &params)).await?;
        let Some(row) = rows.first() else { break };
        let row = Columns::new(row);
        deleted += row.get::<i64>("deleted")?;
        // Nothing was looked at: this was the end of the table.
        let Some(last) = row.get("last")? else { break };
        from = last;
    }
    if deleted > 0 {
        audit(db, "tasks", domain, deleted, age_ms).await?;
        db.query(include_str!("sql/drop_partitions.sql"), &[]).await?;
    }
    Ok(deleted)
}

/// Deletes the finished workers of `domain` (none: of all) that finished longer ago than `age`,
/// then the finished monitors and the leases that nobody needs any more. Says how many workers
/// they were.
pub async fn workers(db: &Db, domain: Option<&str>, age: Duration) -> Result<i64> {
    let age_ms = milliseconds(age);
    let params: [Param<'_>; 2] = [(&domain, Type::TEXT), (&age_ms, Type::INT8)];
    let sql = include_str!("sql/vacuum_workers.sql");
    let rows = db.within(DEADLINE, db.client().query_typed(sql, &params)).await?;
    let deleted = rows.first().map_or(Ok(0), |row| Columns::new(row).get("deleted"))?;
    // In statements of their own: each sees what the one before it left.
    db.query(include_str!("sql/vacuum_monitors.sql"), &params).await?;
    db.query(include_str!("sql/vacuum_leases.sql"), &[]).await?;
    if deleted > 0 {
        audit(db, "workers", domain, deleted, age_ms).await?;
    }
    Ok(deleted)
}

/// Closes the leases by which nobody lives any more, where who ended last did not see it.
pub async fn leases(db: &Db) -> Result<()> {
    let all: [Param<'_>; 1] = [(&None::<i64>, Type::INT8)];
    db.query(include_str!("../lease/sql/close_leases.sql"), &all).await?;
    db.query(include_str!("sql/reopen_leases.sql"), &[]).await.map(drop)
}

/// Deletes the ticks of schedules that are more than a day old. The last one of each stays.
pub async fn ticks(db: &Db) -> Result<()> {
    let asking = db.client().query_typed(include_str!("sql/vacuum_ticks.sql"), &[]);
    db.within(DEADLINE, asking).await.map(drop)
}

/// Deletes the placements of hosts that have had no monitor for a day; tells whose they were.
pub async fn placements(db: &Db) -> Result<Vec<String>> {
    let asking = db.client().query_typed(include_str!("sql/vacuum_placements.sql"), &[]);
    let rows = db.within(DEADLINE, asking).await?;
    let hosts = rows.iter().map(|row| Columns::of("placement", "id", row).get("host"));
    let mut hosts = hosts.collect::<Result<Vec<String>>>()?;
    hosts.sort_unstable();
    hosts.dedup();
    Ok(hosts)
}

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
