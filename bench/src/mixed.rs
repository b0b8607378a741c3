//! The measurement `mixed`: many short tasks with a few long tasks among them. A worker claims several tasks together,
//! so a short task may wait behind a long one in the worker. Measures how long, before the short task goes back to the
//! queue.

use std::time::Duration;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    spread::met_or_missed,
};

/// The target for the longest time that a short task waits, in milliseconds.
const TARGET_MS: f64 = 200.0;

/// The longest time that draining may take.
const TIMEOUT: Duration = Duration::from_secs(600);

pub(crate) async fn run(server: &Server, programs: &Programs, quick: bool) -> anyhow::Result<()> {
    let (short, long, workers) = if quick { (5_000, 5, 8) } else { (50_000, 50, 8) };
    println!("\nmixed: {short} tasks of 1 ms, and {long} of 2 s among them, {workers} workers");
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, workers, &[]).await?;
    rework.client.query(include_str!("sql/mixed_schedule.sql"), &[&short, &long]).await?;
    rework.wait_until_drained(TIMEOUT).await?;
    let row = rework.client.query_one(include_str!("sql/mixed_waits.sql"), &[]).await?;
    let (requeued, longest, done): (i64, f64, i64) = (row.get(0), row.get(1), row.get(2));
    anyhow::ensure!(done >= i64::from(short), "only {done} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    println!(
        "  {requeued} tasks were requeued, at most {longest:.0} ms after the start of the long task"
    );
    println!("    target ≤ {TARGET_MS} ms: {}", met_or_missed(longest <= TARGET_MS));
    Ok(())
}
