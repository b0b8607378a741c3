//! Bare SQL, with which `throughput.rs` and `single.rs` compare rework: the best that a program with its own queue
//! table does without batches. Each client claims one row and completes it, with one commit each, by prepared
//! statements on its own connection. No process runs, nothing is monitored, and no logs are kept.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{sync::Barrier, task::JoinSet, time::sleep};
use tokio_postgres::Client;

use crate::{
    cpu::Cpu,
    database::{Database, connect},
    spread::Drained,
};

/// Measures how long `clients` clients take to claim and complete `tasks` tasks. Each of them sleeps for `duration`
/// between claim and completion. All clients are connected and waiting when the tasks appear.
pub(crate) async fn drain(
    database: &Database,
    cpu: &Cpu,
    clients: usize,
    tasks: i64,
    duration: Duration,
) -> anyhow::Result<Drained> {
    let admin = connect(&database.dsn).await?;
    admin.batch_execute(include_str!("sql/bare_table.sql")).await?;
    let scheduled = Arc::new(Barrier::new(clients + 1));
    let mut running = JoinSet::new();
    for number in 0..clients {
        let client = connect(&database.dsn).await?;
        running.spawn(work(client, number as i64, duration, Arc::clone(&scheduled)));
    }
    admin.execute(include_str!("sql/bare_schedule.sql"), &[&tasks]).await?;
    let since: DateTime<Utc> = admin.query_one("select clock_timestamp()", &[]).await?.get(0);
    let stopwatch = cpu.start();
    scheduled.wait().await;
    // Connections are kept until the CPU time is read, because the time of a backend that has exited is not counted.
    let mut clients = Vec::new();
    while let Some(ended) = running.join_next().await {
        clients.push(ended??);
    }
    let used = stopwatch.stop();
    let row = admin.query_one(include_str!("sql/bare_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    anyhow::ensure!(done == tasks, "only {done} of {tasks} tasks are done");
    Ok(Drained::new(done, seconds, used))
}

async fn work(
    client: Client,
    worker: i64,
    duration: Duration,
    scheduled: Arc<Barrier>,
) -> anyhow::Result<Client> {
    let claim = client.prepare(include_str!("sql/bare_claim.sql")).await?;
    let complete = client.prepare(include_str!("sql/bare_complete.sql")).await?;
    scheduled.wait().await;
    while let Some(row) = client.query_opt(&claim, &[&worker]).await? {
        let (id, _input): (i64, &str) = (row.get(0), row.get(1));
        if !duration.is_zero() {
            sleep(duration).await;
        }
        client.execute(&complete, &[&id, &"1"]).await?;
    }
    Ok(client)
}
