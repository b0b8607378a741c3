//! What is to be done once an hour: partitions for the log of the days to come, and the end of
//! what is too old. On a connection of its own, so that nobody waits for it.

use std::time::{Duration, Instant};

use rework_core::{
    admin::{partition, vacuum},
    db::{connect::Db, dsn::Dsn, error::Result},
};
use tokio::task::spawn_local;

const EVERY: Duration = Duration::from_secs(3600);

/// When the next hour is over.
#[derive(Debug)]
pub(crate) struct Chores {
    dsn: Dsn,
    age: Option<Duration>,
    due: Instant,
}

impl Chores {
    /// First in an hour. `age`: what ended so long ago is deleted.
    pub(crate) fn new(dsn: Dsn, age: Option<Duration>, now: Instant) -> Chores {
        Chores { dsn, age, due: now + EVERY }
    }

    /// Begins them if they are due.
    pub(crate) fn on_time(&mut self, domains: impl Iterator<Item = String>, now: Instant) {
        if self.due > now {
            return;
        }
        self.due = now + EVERY;
        let (dsn, age, domains) = (self.dsn.clone(), self.age, domains.collect::<Vec<_>>());
        spawn_local(async move {
            if let Err(error) = run(&dsn, age, &domains).await {
                tracing::warn!("the chores of this hour are left: {error}");
            }
        });
    }
}

async fn run(dsn: &Dsn, age: Option<Duration>, domains: &[String]) -> Result<()> {
    let db = Db::connect(dsn, "rework monitor (chores)").await?;
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
