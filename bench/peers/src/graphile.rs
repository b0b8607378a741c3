//! `graphile_worker`, set as its own benchmark sets it (`benches/perf_test.rs` of the crate), with a
//! pool of 30 connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, Worker,
    WorkerContext, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::{
    database::Database,
    drain::{Executed, Look},
};

const SCHEMA: &str = "graphile_worker";
const CONNECTIONS: u32 = 30;
const CONCURRENCY: usize = 500;
const LOCAL_QUEUE: usize = 5_000;
const POLL: Duration = Duration::from_millis(5);
const COMPLETE_TOGETHER: Duration = Duration::from_millis(5);

/// Jobs that are queued by one call.
const BULK: usize = 5_000;

/// Completed jobs are deleted.
const LEFT: &str = "select exists (select from graphile_worker._private_jobs)";

/// Nothing to do.
#[derive(Debug, Deserialize, Serialize)]
struct Noop {
    n: i64,
}

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        match context.get_ext::<Executed>() {
            Some(executed) => executed.one_more(),
            None => return Err("nobody counts".to_owned()),
        }
        Ok::<(), String>(())
    }
}

pub(crate) async fn drain(database: &Database, tasks: u32) -> anyhow::Result<Duration> {
    let pool = database.pool(CONNECTIONS).await?;
    queue(&pool, tasks).await?;
    let executed = Executed::default();
    let worker = Arc::new(worker(&pool, &executed).await?);
    database.settle().await?;
    let mut look = Look::new(database.connect().await?, LEFT).await?;

    let clock = Instant::now();
    let mut running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    tokio::select! {
        ended = &mut running => bail!("the worker has ended: {ended:?}"),
        nothing_left = look.until_nothing(&executed, tasks) => nothing_left?,
    }
    let took = clock.elapsed();
    worker.request_shutdown();
    running.await??;
    executed.ensure_exactly(tasks)?;
    pool.close().await;
    Ok(took)
}

async fn queue(pool: &PgPool, tasks: u32) -> anyhow::Result<()> {
    let utils = WorkerUtils::new(pool.clone(), SCHEMA);
    utils.migrate().await?;
    let job = RawJobSpec {
        identifier: Noop::IDENTIFIER.to_owned(),
        payload: serde_json::json!({ "n": 1 }),
        spec: JobSpec::default(),
    };
    for jobs in vec![job; tasks as usize].chunks(BULK) {
        utils.add_raw_jobs(jobs).await?;
    }
    Ok(())
}

async fn worker(pool: &PgPool, executed: &Executed) -> anyhow::Result<Worker> {
    let worker = Worker::options()
        .pg_pool(pool.clone())
        .schema(SCHEMA)
        .concurrency(CONCURRENCY)
        .local_queue(LocalQueueConfig::default().with_size(LOCAL_QUEUE))
        .poll_interval(POLL)
        .complete_job_batch_delay(COMPLETE_TOGETHER)
        .add_extension(executed.clone())
        .define_job::<Noop>()
        .init()
        .await?;
    Ok(worker)
}
