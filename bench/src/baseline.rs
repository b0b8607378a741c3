//! Bare SQL in batches, with which `drain.rs` compares rework: a thin client with two connections. One claims 500 tasks
//! at a time, the other completes them, both at the same time.
//!
//! The client does the least that a queue must do. It has no leases, no fences (which keep a late
//! write about an earlier run from changing anything), no processes and no logs, and if it dies its
//! claimed tasks are lost.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::{
    cpu::Cpu,
    database::{Database, connect},
    spread::Drained,
};

/// Number of tasks of one claim, and of one completion.
const BATCH: i64 = 500;

/// Number of claimed batches that may wait for their completion.
const WAITING_BATCHES: usize = 4;

/// The input of `noop`.
#[derive(Deserialize)]
struct NoopInput {
    n: i64,
}

/// The ids of done tasks, and the output of each.
type Done = (Vec<i64>, Vec<String>);

/// Queues tasks, then measures how long the client takes to claim and complete all of them.
pub(crate) async fn drain(database: &Database, cpu: &Cpu, tasks: i64) -> anyhow::Result<Drained> {
    let admin = connect(&database.dsn).await?;
    admin.batch_execute(include_str!("sql/bare_table.sql")).await?;
    admin.execute(include_str!("sql/bare_schedule.sql"), &[&tasks]).await?;
    admin.batch_execute("vacuum analyze task").await?;
    admin.batch_execute("checkpoint").await?;
    let (fetcher, completer) = (connect(&database.dsn).await?, connect(&database.dsn).await?);
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
    let since: DateTime<Utc> = admin.query_one("select clock_timestamp()", &[]).await?.get(0);
    let stopwatch = cpu.start();
    // Both connections are kept until the CPU time is read, because the time of a backend that has exited is not
    // counted.
    let ended = tokio::join!(fetch(fetcher, sender), complete(completer, receiver));
    let used = stopwatch.stop();
    let _connections = (ended.0?, ended.1?);
    let row = admin.query_one(include_str!("sql/bare_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    anyhow::ensure!(done == tasks, "only {done} of {tasks} tasks are done");
    Ok(Drained::new(done, seconds, used))
}

async fn fetch(client: Client, sender: mpsc::Sender<Done>) -> anyhow::Result<Client> {
    let claim = client.prepare(include_str!("sql/baseline_claim.sql")).await?;
    loop {
        let rows = client.query(&claim, &[&1_i64, &BATCH]).await?;
        if rows.is_empty() {
            return Ok(client);
        }
        let mut done = Done::default();
        for row in rows {
            let NoopInput { n } = serde_json::from_str(row.get(1))?;
            done.0.push(row.get(0));
            done.1.push(serde_json::to_string(&n)?);
        }
        sender.send(done).await?;
    }
}

async fn complete(client: Client, mut receiver: mpsc::Receiver<Done>) -> anyhow::Result<Client> {
    let complete = client.prepare(include_str!("sql/baseline_complete.sql")).await?;
    while let Some((ids, outputs)) = receiver.recv().await {
        client.execute(&complete, &[&ids, &outputs]).await?;
    }
    Ok(client)
}
