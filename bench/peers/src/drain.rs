//! Detects when a queue is drained: a query on the tables of the peer finds no unfinished job.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use sqlx::PgConnection;
use tokio::time::sleep;

/// How often the tables are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The longest time that draining may take.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Counts the jobs that have run. Clones share the counter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Executed(Arc<AtomicU64>);

impl Executed {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Checks, when the worker has stopped, that as many jobs have run as there were. So none ran twice.
    pub(crate) fn ensure_exactly(&self, tasks: u32) -> anyhow::Result<()> {
        let executed = self.count();
        ensure!(executed == u64::from(tasks), "{executed} runs of {tasks} jobs");
        Ok(())
    }
}

/// Polls the tables of a peer for unfinished jobs.
pub(crate) struct QueuePoller {
    connection: PgConnection,
    /// A query that returns whether there is an unfinished job.
    has_unfinished: &'static str,
}

impl QueuePoller {
    /// Creates a poller from a query that returns whether there is an unfinished job. `Err` if there is none now.
    pub(crate) async fn new(
        connection: PgConnection,
        has_unfinished: &'static str,
    ) -> anyhow::Result<QueuePoller> {
        let mut poller = QueuePoller { connection, has_unfinished };
        ensure!(poller.has_unfinished().await?, "nothing is queued");
        Ok(poller)
    }

    /// Waits until there is no unfinished job. The server is not polled before all jobs have run.
    pub(crate) async fn wait_until_drained(
        &mut self,
        executed: &Executed,
        tasks: u32,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while executed.count() < u64::from(tasks) || self.has_unfinished().await? {
            let count = executed.count();
            ensure!(Instant::now() < deadline, "only {count} of {tasks} jobs ran within {TIMEOUT:?}");
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Returns the number that another query on the tables of the peer returns.
    pub(crate) async fn count(&mut self, sql: &'static str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?)
    }

    async fn has_unfinished(&mut self) -> anyhow::Result<bool> {
        Ok(sqlx::query_scalar(self.has_unfinished).fetch_one(&mut self.connection).await?)
    }
}
