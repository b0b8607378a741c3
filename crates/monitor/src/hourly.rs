//! The hourly work on the database: creating partitions for the log of the next days, and deleting old rows. It uses a
//! connection of its own, so that no other statement waits for it.

use std::time::{Duration, Instant};

use rework_core::{
    admin::{partition, vacuum},
    db::{connect::Db, dsn::Dsn, error::Result},
    flow::fail_unregistered::fail_unregistered,
};
use tokio::task::spawn_local;

/// The time between two runs of the work. Partitions are created days ahead, so an hour is early enough.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long a lane stays at least after it was made. Then it stays as long as a task needs it.
const LANE_AGE: Duration = Duration::from_secs(24 * 3600);

/// How long steps of flows wait for an operation that is not registered any more. A deploy registers it again in seconds.
const UNREGISTERED_AGE: Duration = Duration::from_secs(3600);

/// The options of the hourly work, and the time at which it is due next.
#[derive(Debug)]
pub(crate) struct Hourly {
    dsn: Dsn,
    /// The age at which ended tasks and workers are deleted. `None` if they are kept.
    age: Option<Duration>,
    due: Instant,
}

impl Hourly {
    /// Creates the work, which is due for the first time in an hour. It deletes tasks and workers that ended `age` ago.
    /// It deletes none if `age` is `None`.
    pub(crate) fn new(dsn: Dsn, age: Option<Duration>, now: Instant) -> Hourly {
        Hourly { dsn, age, due: now + INTERVAL }
    }

    /// Starts the work in the background if it is due.
    pub(crate) fn on_time(&mut self, domains: impl Iterator<Item = String>, now: Instant) {
        if self.due > now {
            return;
        }
        self.due = now + INTERVAL;
        let (dsn, age, domains) = (self.dsn.clone(), self.age, domains.collect::<Vec<_>>());
        spawn_local(async move {
            if let Err(error) = run(&dsn, age, &domains).await {
                tracing::warn!("the hourly work failed: {error}");
            }
        });
    }
}

async fn run(dsn: &Dsn, age: Option<Duration>, domains: &[String]) -> Result<()> {
    let mut db = Db::connect(dsn, "rework monitor (hourly)").await?;
    partition::ensure_partitions(&db).await?;
    vacuum::delete_firings(&db).await?;
    vacuum::close_unused_leases(&db).await?;
    for host in vacuum::delete_placements(&db).await? {
        tracing::info!("host {host} had no monitor for a day: its placements are deleted");
    }
    if let Some(age) = age {
        delete_old(&db, age, domains).await?;
    }
    let failed = fail_unregistered(&db, UNREGISTERED_AGE).await?;
    if failed > 0 {
        tracing::warn!(
            "{failed} steps of flows failed: their operations are not registered any more"
        );
    }
    let lanes = vacuum::sweep_lanes(&mut db, LANE_AGE).await?;
    if lanes > 0 {
        tracing::info!("{lanes} lanes that no task needs any more are deleted");
    }
    Ok(())
}

async fn delete_old(db: &Db, age: Duration, domains: &[String]) -> Result<()> {
    for domain in domains {
        let tasks = vacuum::delete_ended_tasks(db, Some(domain), age).await?;
        let workers = vacuum::delete_workers(db, Some(domain), age).await?;
        if tasks + workers > 0 {
            tracing::info!("domain {domain}: {tasks} old tasks and {workers} old workers deleted");
        }
    }
    Ok(())
}
