//! Single: tasks that take 5 ms, each claimed and recorded in a commit of its own, beside as many
//! clients of bare SQL that sleep between claim and completion.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    bare,
    database::Server,
    installation::{Installation, Programs},
    spread::{Drained, Spread, verdict},
};

/// The least share of bare SQL's throughput.
const TARGET: f64 = 0.8;

/// How long a task takes.
const NAP: Duration = Duration::from_millis(5);

const PATIENCE: Duration = Duration::from_secs(600);

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How many workers, and how many clients of bare SQL
    #[arg(long, default_value_t = 16)]
    workers: usize,
    /// Tasks of one measurement
    #[arg(long, default_value_t = 20_000)]
    tasks: i32,
    /// Measurements of each side
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
            let drained = bare::drain(&database, &cpu, args.workers, i64::from(tasks), NAP).await?;
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
        println!("    ratio {ratio:.2}, target ≥ {TARGET}: {}", verdict(ratio >= TARGET));
    }
    Ok(())
}

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
    rework.drained(PATIENCE).await?;
    let used = stopwatch.stop();
    let row = rework.client.query_one(include_str!("sql/rework_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Drained::new(done, seconds, used))
}
