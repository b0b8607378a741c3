//! Bare SQL: what a program that queues by hand does at best. Each client claims one row and
//! completes it, a commit each, with prepared statements on a connection of its own; nothing runs,
//! nobody watches, nothing is recorded of how it went.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{sync::Barrier, task::JoinSet, time::sleep};
use tokio_postgres::Client;

use crate::{
    cpu::Cpu,
    database::{Database, connect},
    spread::Drained,
};

/// With so many clients, all waiting when the tasks appear, that take a nap between claim and completion.
pub(crate) async fn drain(
    database: &Database,
    cpu: &Cpu,
    clients: usize,
    tasks: i64,
    nap: Duration,
) -> anyhow::Result<Drained> {
    let admin = connect(&database.dsn).await?;
    admin.batch_execute(include_str!("sql/bare_table.sql")).await?;
    let appeared = Arc::new(Barrier::new(clients + 1));
    let mut working = JoinSet::new();
    for number in 0..clients {
        let client = connect(&database.dsn).await?;
        working.spawn(work(client, number as i64, nap, Arc::clone(&appeared)));
    }
    admin.execute(include_str!("sql/bare_schedule.sql"), &[&tasks]).await?;
    let since: DateTime<Utc> = admin.query_one("select clock_timestamp()", &[]).await?.get(0);
    let stopwatch = cpu.start();
    appeared.wait().await;
    // Kept to the end: the time of a backend that has left would not be counted.
    let mut clients = Vec::new();
    while let Some(ended) = working.join_next().await {
        clients.push(ended??);
    }
    let used = stopwatch.stop();
    let row = admin.query_one(include_str!("sql/bare_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    anyhow::ensure!(done == tasks, "{done} of {tasks} tasks are done");
    Ok(Drained::new(done, seconds, used))
}

async fn work(
    client: Client,
    worker: i64,
    nap: Duration,
    appeared: Arc<Barrier>,
) -> anyhow::Result<Client> {
    let claim = client.prepare(include_str!("sql/bare_claim.sql")).await?;
    let complete = client.prepare(include_str!("sql/bare_complete.sql")).await?;
    appeared.wait().await;
    while let Some(row) = client.query_opt(&claim, &[&worker]).await? {
        let (id, _input): (i64, &str) = (row.get(0), row.get(1));
        if !nap.is_zero() {
            sleep(nap).await;
        }
        client.execute(&complete, &[&id, &"1"]).await?;
    }
    Ok(client)
}
