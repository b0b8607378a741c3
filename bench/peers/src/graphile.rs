//! Measures `graphile_worker` with the settings of its own benchmark (`benches/perf_test.rs` of the crate), except that
//! the pool has 30 connections instead of 100.

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
    drain::{Executed, QueuePoller},
};

const SCHEMA: &str = "graphile_worker";
const CONNECTIONS: u32 = 30;
const CONCURRENCY: usize = 500;
const LOCAL_QUEUE: usize = 5_000;
const POLL: Duration = Duration::from_millis(5);

/// How long completions are collected, to be written together.
const COMPLETION_DELAY: Duration = Duration::from_millis(5);

/// Number of jobs that are queued by one call.
const BULK: usize = 5_000;

/// Whether there is an unfinished job. Completed jobs are deleted.
const HAS_UNFINISHED: &str = "select exists (select from graphile_worker._private_jobs)";

/// The job. It does nothing but count.
#[derive(Debug, Deserialize, Serialize)]
struct NoopTask {
    n: i64,
}

impl TaskHandler for NoopTask {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        match context.get_ext::<Executed>() {
            Some(executed) => executed.increment(),
            None => return Err("the worker has no counter".to_owned()),
        }
        Ok::<(), String>(())
    }
}

/// Queues jobs, then measures how long the worker takes to run all of them.
pub(crate) async fn drain(database: &Database, tasks: u32) -> anyhow::Result<Duration> {
    let pool = database.pool(CONNECTIONS).await?;
    queue(&pool, tasks).await?;
    let executed = Executed::default();
    let worker = Arc::new(worker(&pool, &executed).await?);
    database.settle().await?;
    let mut poller = QueuePoller::new(database.connect().await?, HAS_UNFINISHED).await?;

    let started = Instant::now();
    let mut running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    tokio::select! {
        ended = &mut running => bail!("the worker has stopped: {ended:?}"),
        drained = poller.wait_until_drained(&executed, tasks) => drained?,
    }
    let took = started.elapsed();
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
        identifier: NoopTask::IDENTIFIER.to_owned(),
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
        .complete_job_batch_delay(COMPLETION_DELAY)
        .add_extension(executed.clone())
        .define_job::<NoopTask>()
        .init()
        .await?;
    Ok(worker)
}
