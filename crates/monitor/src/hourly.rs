//! The hourly work: partitions are made for the log of the next days, and what is too old is deleted.
//! It has a connection of its own, so that nothing else waits for it.

use std::time::{Duration, Instant};

use rework_core::{
    admin::{partition, vacuum},
    db::{connect::Db, dsn::Dsn, error::Result},
};
use tokio::task::spawn_local;

const EVERY: Duration = Duration::from_secs(3600);

/// The hourly work, and when it is due next.
#[derive(Debug)]
pub(crate) struct Hourly {
    dsn: Dsn,
    age: Option<Duration>,
    due: Instant,
}

impl Hourly {
    /// The work, due first in an hour. Tasks and workers that ended `age` ago are deleted; none if `age`
    /// is `None`.
    pub(crate) fn new(dsn: Dsn, age: Option<Duration>, now: Instant) -> Hourly {
        Hourly { dsn, age, due: now + EVERY }
    }

    /// Begins the work if it is due.
    pub(crate) fn on_time(&mut self, domains: impl Iterator<Item = String>, now: Instant) {
        if self.due > now {
            return;
        }
        self.due = now + EVERY;
        let (dsn, age, domains) = (self.dsn.clone(), self.age, domains.collect::<Vec<_>>());
        spawn_local(async move {
            if let Err(error) = run(&dsn, age, &domains).await {
                tracing::warn!("the hourly work could not be finished: {error}");
            }
        });
    }
}

async fn run(dsn: &Dsn, age: Option<Duration>, domains: &[String]) -> Result<()> {
    let db = Db::connect(dsn, "rework monitor (hourly)").await?;
    partition::ensure(&db).await?;
    vacuum::ticks(&db).await?;
    vacuum::leases(&db).await?;
    for host in vacuum::placements(&db).await? {
        tracing::info!("host {host} has had no monitor for a day: its placements are deleted");
    }
    let Some(age) = age else { return Ok(()) };
    for domain in domains {
        let tasks = vacuum::tasks_older_than(&db, Some(domain), age).await?;
        let workers = vacuum::workers(&db, Some(domain), age).await?;
        if tasks + workers > 0 {
            tracing::info!("domain {domain}: vacuumed {tasks} tasks and {workers} workers");
        }
    }
    Ok(())
}
