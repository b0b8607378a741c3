//! The measurement `single`: tasks that take 5 ms, each claimed and recorded in a separate commit (`--batch 1`).
//! Compares the rate with as many clients of bare SQL (`bare_sql.rs`), which sleep for 5 ms between claim and
//! completion.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    bare_sql,
    database::Server,
    installation::{Installation, Programs},
    spread::{Drained, Spread, met_or_missed},
};

/// The target: the least ratio of the rate to that of bare SQL.
const TARGET_RATIO: f64 = 0.8;

/// How long a task takes.
const TASK_DURATION: Duration = Duration::from_millis(5);

/// The longest time that draining may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The options of `single`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of workers, and of clients of bare SQL
    #[arg(long, default_value_t = 16)]
    workers: usize,
    /// Number of tasks of one measurement
    #[arg(long, default_value_t = 20_000)]
    tasks: i32,
    /// Number of measurements of each side
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { workers: 16, tasks: 20_000, repeat: 3 }
    }
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let (tasks, repeat) = if quick { (2_000, 1) } else { (args.tasks, args.repeat) };
    println!("\nsingle: tasks/s of {tasks} tasks of 5 ms, a commit each, median of {repeat}");
    for sync in ["on", "off"] {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..repeat {
            let database = server.create().await?;
            server.set(&database, "synchronous_commit", sync).await?;
            let cpu = server.cpu().await?;
            let drained =
                bare_sql::drain(&database, &cpu, args.workers, i64::from(tasks), TASK_DURATION)
                    .await?;
            bare.push(drained.rate);
            server.drop(database).await?;
            ours.push(drain(server, programs, args.workers, tasks, sync).await?.rate);
        }
        let [bare, ours] = [bare, ours].map(Spread::new);
        let ratio = ours.median() / bare.median();
        let workers = args.workers;
        println!(
            "  synchronous_commit {sync}: {workers} clients of bare SQL {bare}, rework {ours}"
        );
        println!(
            "    ratio {ratio:.2}, target ≥ {TARGET_RATIO}: {}",
            met_or_missed(ratio >= TARGET_RATIO)
        );
    }
    Ok(())
}

/// Measures rework once.
async fn drain(
    server: &Server,
    programs: &Programs,
    workers: usize,
    tasks: i32,
    sync: &str,
) -> anyhow::Result<Drained> {
    let database = server.create().await?;
    server.set(&database, "synchronous_commit", sync).await?;
    let mut rework = Installation::start(&database, programs, workers, &["--batch", "1"]).await?;
    let cpu = server.cpu().await?;
    let schedule = "select count(*) from rework.schedule_many('hold', array_fill('5'::json, array[$1::integer]))";
    rework.client.query(schedule, &[&tasks]).await?;
    let now = "select clock_timestamp()";
    let since: DateTime<Utc> = rework.client.query_one(now, &[]).await?.get(0);
    let stopwatch = cpu.start();
    rework.wait_until_drained(TIMEOUT).await?;
    let used = stopwatch.stop();
    let row = rework.client.query_one(include_str!("sql/rework_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Drained::new(done, seconds, used))
}
