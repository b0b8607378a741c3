//! The clock, and who stops it: the peer's own tables, looked at from outside.

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

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// No queue that is worth measuring takes longer.
const PATIENCE: Duration = Duration::from_mins(5);

/// How many jobs have run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Executed(Arc<AtomicU64>);

impl Executed {
    pub(crate) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Asked when the worker has ended: each job ran, and none ran twice.
    pub(crate) fn ensure_exactly(&self, tasks: u32) -> anyhow::Result<()> {
        let executed = self.so_far();
        ensure!(executed == u64::from(tasks), "{executed} executions of {tasks} jobs");
        Ok(())
    }
}

/// Asks a peer's tables whether anything is left to do.
pub(crate) struct Look {
    connection: PgConnection,
    left: &'static str,
}

impl Look {
    /// `left` is a query that tells whether something is left. It must, now.
    pub(crate) async fn new(connection: PgConnection, left: &'static str) -> anyhow::Result<Look> {
        let mut look = Look { connection, left };
        ensure!(look.is_left().await?, "nothing is queued");
        Ok(look)
    }

    /// Returns as soon as nothing is left. While jobs have not run something is left, so the server
    /// is not asked.
    pub(crate) async fn until_nothing(
        &mut self,
        executed: &Executed,
        tasks: u32,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while executed.so_far() < u64::from(tasks) || self.is_left().await? {
            let so_far = executed.so_far();
            ensure!(Instant::now() < deadline, "{so_far} of {tasks} jobs ran, then no more");
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// A whole number that another query on the peer's tables gives.
    pub(crate) async fn count(&mut self, sql: &'static str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?)
    }

    async fn is_left(&mut self) -> anyhow::Result<bool> {
        Ok(sqlx::query_scalar(self.left).fetch_one(&mut self.connection).await?)
    }
}
