//! `riverqueue`, set as its own benchmark sets it (`riverqueue bench` of the crate `riverqueue-cli`).

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
    drain::{Executed, Look},
};

const CONNECTIONS: u32 = 50;
const WORKERS: usize = 2_000;
const COOLDOWN: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_millis(20);

/// Completed jobs stay.
const COMPLETED: &str = "select count(*) from river_job where state = 'completed'";

/// Nothing to do.
#[derive(Debug, Clone, Deserialize, Serialize, JobArgs)]
#[river(kind = "noop")]
struct Noop {
    n: i64,
}

pub(crate) async fn drain(database: &Database, tasks: u32) -> anyhow::Result<Duration> {
    let pool = database.pool(CONNECTIONS).await?;
    PostgresMigrator::new(pool.clone()).migrate_up().await?;
    let executed = Executed::default();
    let client = client(&pool, &executed)?;
    queue(&pool, &client, tasks).await?;
    database.settle().await?;
    let mut look = Look::new(database.connect().await?, include_str!("sql/river_left.sql")).await?;

    let clock = Instant::now();
    let mut running = client.start()?;
    tokio::select! {
        ended = running.wait() => bail!("the client has ended: {ended:?}"),
        nothing_left = look.until_nothing(&executed, tasks) => nothing_left?,
    }
    let took = clock.elapsed();
    running.stop().await?;
    executed.ensure_exactly(tasks)?;
    let completed = look.count(COMPLETED).await?;
    ensure!(completed == i64::from(tasks), "{completed} of {tasks} jobs are completed");
    pool.close().await;
    Ok(took)
}

fn client(pool: &PgPool, executed: &Executed) -> anyhow::Result<Client> {
    let executed = executed.clone();
    let mut workers = Workers::new();
    workers.add_fn(move |_: WorkContext, _: Job<Noop>| {
        executed.one_more();
        std::future::ready(Ok::<_, Infallible>(WorkOutcome::Complete))
    })?;
    let queue =
        QueueConfig::new(WORKERS).with_fetch_cooldown(COOLDOWN).with_fetch_poll_interval(POLL);
    Ok(Client::builder(pool.clone()).workers(workers).queue(QUEUE_DEFAULT, queue).build()?)
}

/// The first by the library. It inserts row by row, in one transaction, so the rest are copies of
/// the row that it wrote.
async fn queue(pool: &PgPool, client: &Client, tasks: u32) -> anyhow::Result<()> {
    client.insert(Noop { n: 1 }).await?;
    let copies = i64::from(tasks) - 1;
    sqlx::query(include_str!("sql/river_queue.sql")).bind(copies).execute(pool).await?;
    Ok(())
}
