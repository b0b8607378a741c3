//! Measures `riverqueue` with the settings of its own benchmark (`riverqueue bench` of the crate `riverqueue-cli`).

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use riverqueue::{
    Client, Job, JobArgs, QUEUE_DEFAULT, QueueConfig, WorkContext, WorkOutcome, Workers,
    migrate::PostgresMigrator,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::{
    database::Database,
    drain::{Executed, QueuePoller},
};

const CONNECTIONS: u32 = 50;
const WORKERS: usize = 2_000;
const COOLDOWN: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_millis(20);

/// Counts the completed jobs, which stay in the table.
const COMPLETED: &str = "select count(*) from river_job where state = 'completed'";

/// The job. It does nothing but count.
#[derive(Debug, Clone, Deserialize, Serialize, JobArgs)]
#[river(kind = "noop")]
struct NoopJob {
    n: i64,
}

/// Queues jobs, then measures how long the client takes to run all of them.
pub(crate) async fn drain(database: &Database, tasks: u32) -> anyhow::Result<Duration> {
    let pool = database.pool(CONNECTIONS).await?;
    PostgresMigrator::new(pool.clone()).migrate_up().await?;
    let executed = Executed::default();
    let client = client(&pool, &executed)?;
    queue(&pool, &client, tasks).await?;
    database.settle().await?;
    let has_unfinished = include_str!("sql/river_unfinished.sql");
    let mut poller = QueuePoller::new(database.connect().await?, has_unfinished).await?;

    let started = Instant::now();
    let mut running = client.start()?;
    tokio::select! {
        ended = running.wait() => bail!("the client has stopped: {ended:?}"),
        drained = poller.wait_until_drained(&executed, tasks) => drained?,
    }
    let took = started.elapsed();
    running.stop().await?;
    executed.ensure_exactly(tasks)?;
    let completed = poller.count(COMPLETED).await?;
    ensure!(completed == i64::from(tasks), "only {completed} of {tasks} jobs are completed");
    pool.close().await;
    Ok(took)
}

fn client(pool: &PgPool, executed: &Executed) -> anyhow::Result<Client> {
    let executed = executed.clone();
    let mut workers = Workers::new();
    workers.add_fn(move |_: WorkContext, _: Job<NoopJob>| {
        executed.increment();
        std::future::ready(Ok::<_, Infallible>(WorkOutcome::Complete))
    })?;
    let queue =
        QueueConfig::new(WORKERS).with_fetch_cooldown(COOLDOWN).with_fetch_poll_interval(POLL);
    Ok(Client::builder(pool.clone()).workers(workers).queue(QUEUE_DEFAULT, queue).build()?)
}

/// Queues the first job by the library, and the others as copies of its row. The library would insert them row by row.
async fn queue(pool: &PgPool, client: &Client, tasks: u32) -> anyhow::Result<()> {
    client.insert(NoopJob { n: 1 }).await?;
    let copies = i64::from(tasks) - 1;
    sqlx::query(include_str!("sql/river_queue.sql")).bind(copies).execute(pool).await?;
    Ok(())
}
