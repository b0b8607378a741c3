//! Drain: many no-op tasks that are queued before the clock starts, done by two warm workers, beside
//! the floor on the same Postgres, with commits that wait for the disk and with such that do not.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    database::Server,
    floor,
    installation::{Installation, Programs},
    spread::{Drained, Spread, verdict},
};

/// The least share of the floor's throughput.
const TARGET: f64 = 0.6;

/// What `rework monitor` takes, if it is not told.
const BATCH: usize = 1000;

const PATIENCE: Duration = Duration::from_secs(600);

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How many workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Tasks of one measurement
    #[arg(long, default_value_t = 100_000)]
    tasks: i32,
    /// Measurements of each side
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Most tasks that a worker claims at once
    #[arg(long, default_value_t = BATCH)]
    batch: usize,
    /// Settings of `synchronous_commit`
    #[arg(long, value_delimiter = ',', default_values = ["on", "off"])]
    sync: Vec<String>,
}

impl Default for Args {
    fn default() -> Args {
        Args {
            workers: 2,
            tasks: 100_000,
            repeat: 3,
            batch: BATCH,
            sync: vec!["on".into(), "off".into()],
        }
    }
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let (tasks, repeat) = if quick { (5_000, 1) } else { (args.tasks, args.repeat) };
    println!("\ndrain: tasks/s of {tasks} queued no-op tasks, median of {repeat} (least … most)");
    for sync in &args.sync {
        let (mut floor, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..repeat {
            let database = server.create().await?;
            server.set(&database, "synchronous_commit", sync).await?;
            floor.push(floor::drain(&database, &server.cpu().await?, i64::from(tasks)).await?);
            server.drop(database).await?;
            ours.push(drain(server, programs, args, tasks, sync).await?);
        }
        report(args.workers, sync, &floor, &ours);
    }
    Ok(())
}

fn report(workers: usize, sync: &str, floor: &[Drained], ours: &[Drained]) {
    let spread =
        |of: &[Drained], what: fn(&Drained) -> f64| Spread::new(of.iter().map(what).collect());
    let rates = [floor, ours].map(|of| spread(of, |one| one.rate));
    let costs = [floor, ours].map(|of| spread(of, |one| one.cpu_us));
    let ratio = rates[1].median() / rates[0].median();
    println!(
        "  synchronous_commit {sync}: floor {}, rework with {workers} workers {}",
        rates[0], rates[1]
    );
    println!("    ratio {ratio:.2}, target ≥ {TARGET}: {}", verdict(ratio >= TARGET));
    println!("    CPU of a task, µs: floor {}, rework {}", costs[0], costs[1]);
}

/// The tasks appear in one commit, in front of workers that have nothing to do.
async fn drain(
    server: &Server,
    programs: &Programs,
    args: &Args,
    tasks: i32,
    sync: &str,
) -> anyhow::Result<Drained> {
    let database = server.create().await?;
    server.set(&database, "synchronous_commit", sync).await?;
    let batch = args.batch.to_string();
    let mut rework =
        Installation::start(&database, programs, args.workers, &["--batch", &batch]).await?;
    let cpu = server.cpu().await?;
    rework.client.batch_execute("begin").await?;
    rework.client.query(include_str!("sql/rework_schedule.sql"), &[&tasks]).await?;
    let now = "select clock_timestamp()";
    let stopwatch = cpu.start();
    rework.client.batch_execute("commit").await?;
    let since: DateTime<Utc> = rework.client.query_one(now, &[]).await?.get(0);
    rework.drained(PATIENCE).await?;
    let used = stopwatch.stop();
    let row = rework.client.query_one(include_str!("sql/rework_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    let early = i64::from(tasks) - done;
    anyhow::ensure!(early <= i64::from(tasks) / 50, "{done} of {tasks} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Drained::new(done, seconds, used))
}
