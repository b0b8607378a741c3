//! The floor: a thin client that claims and completes in batches, one connection for each, both at
//! work at the same time. Its tasks are read and answered in place; it knows no fence, no lease, no
//! process, no log, and loses what it holds when it dies.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::{
    cpu::Cpu,
    database::{Database, connect},
    spread::Drained,
};

/// Tasks of one claim, and of one completion.
const BATCH: i64 = 500;

/// Batches that may wait to be completed.
const WAITING: usize = 4;

/// What `noop` takes.
#[derive(Deserialize)]
struct Number {
    n: i64,
}

/// The ids of done tasks, and what each gave.
type Done = (Vec<i64>, Vec<String>);

/// Drains so many tasks that are there before the clock starts.
pub(crate) async fn drain(database: &Database, cpu: &Cpu, tasks: i64) -> anyhow::Result<Drained> {
    let admin = connect(&database.dsn).await?;
    admin.batch_execute(include_str!("sql/bare_table.sql")).await?;
    admin.execute(include_str!("sql/bare_schedule.sql"), &[&tasks]).await?;
    admin.batch_execute("vacuum analyze task").await?;
    admin.batch_execute("checkpoint").await?;
    let (fetcher, completer) = (connect(&database.dsn).await?, connect(&database.dsn).await?);
    let (sender, receiver) = mpsc::channel(WAITING);
    let since: DateTime<Utc> = admin.query_one("select clock_timestamp()", &[]).await?.get(0);
    let stopwatch = cpu.start();
    // Both connections are kept to the end: the time of a backend that has left would not be counted.
    let ended = tokio::join!(fetch(fetcher, sender), complete(completer, receiver));
    let used = stopwatch.stop();
    let _kept = (ended.0?, ended.1?);
    let row = admin.query_one(include_str!("sql/bare_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    anyhow::ensure!(done == tasks, "{done} of {tasks} tasks are done");
    Ok(Drained::new(done, seconds, used))
}

async fn fetch(client: Client, sender: mpsc::Sender<Done>) -> anyhow::Result<Client> {
    let claim = client.prepare(include_str!("sql/floor_claim.sql")).await?;
    loop {
        let rows = client.query(&claim, &[&1_i64, &BATCH]).await?;
        if rows.is_empty() {
            return Ok(client);
        }
        let mut done = Done::default();
        for row in rows {
            let Number { n } = serde_json::from_str(row.get(1))?;
            done.0.push(row.get(0));
            done.1.push(serde_json::to_string(&n)?);
        }
        sender.send(done).await?;
    }
}

async fn complete(client: Client, mut receiver: mpsc::Receiver<Done>) -> anyhow::Result<Client> {
    let complete = client.prepare(include_str!("sql/floor_complete.sql")).await?;
    while let Some((ids, outputs)) = receiver.recv().await {
        client.execute(&complete, &[&ids, &outputs]).await?;
    }
    Ok(client)
}
