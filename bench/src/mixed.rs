//! Mixed: short tasks that are claimed together, and long ones among them. How long does a short one wait
//! in a worker behind a long one, before it goes back to the queue?

use std::time::Duration;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    spread::verdict,
};

/// The longest that a short task may wait, in milliseconds.
const TARGET: f64 = 200.0;

const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(server: &Server, programs: &Programs, quick: bool) -> anyhow::Result<()> {
    let (short, long, workers) = if quick { (5_000, 5, 8) } else { (50_000, 50, 8) };
    println!("\nmixed: {short} tasks of 1 ms, and {long} of 2 s among them, {workers} workers");
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, workers, &[]).await?;
    rework.client.query(include_str!("sql/mixed_schedule.sql"), &[&short, &long]).await?;
    rework.drained(PATIENCE).await?;
    let row = rework.client.query_one(include_str!("sql/mixed_waits.sql"), &[]).await?;
    let (given_back, longest, done): (i64, f64, i64) = (row.get(0), row.get(1), row.get(2));
    anyhow::ensure!(done >= i64::from(short), "{done} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    println!("  {given_back} given back, after {longest:.0} ms of the long one at most");
    println!("    target ≤ {TARGET} ms: {}", verdict(longest <= TARGET));
    Ok(())
}
