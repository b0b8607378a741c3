//! The measurement `drain`: two warm workers run many no-op tasks that were queued before. Compares the rate with bare
//! SQL in batches (`baseline.rs`) on the same Postgres, with `synchronous_commit` on and off.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    baseline,
    database::Server,
    installation::{Installation, Programs},
    spread::{Drained, Spread, met_or_missed},
};

/// The target: the least ratio of the rate to that of bare SQL in batches.
const TARGET_RATIO: f64 = 0.6;

/// The default of `rework monitor --batch`.
pub(crate) const BATCH: usize = 1000;

/// The longest time that draining may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Tasks that become visible at once, and how they are counted.
pub(crate) struct Queue {
    /// Schedules $1 tasks.
    schedule: &'static str,
    /// The number of tasks to schedule.
    scheduled: i32,
    /// Counts the done tasks that ended after $1, and returns the seconds from $1 to the end of the last one.
    span: &'static str,
    /// The number of tasks that must be done.
    expected: i64,
}

impl Queue {
    /// Returns a queue of no-op tasks that nothing follows.
    pub(crate) fn plain(tasks: i32) -> Queue {
        Queue {
            schedule: include_str!("sql/rework_schedule.sql"),
            scheduled: tasks,
            span: include_str!("sql/rework_span.sql"),
            expected: i64::from(tasks),
        }
    }

    /// Returns a queue of no-op tasks. A no-op task follows each of them (`run_after`).
    pub(crate) fn followed(tasks: i32) -> Queue {
        Queue {
            schedule: include_str!("sql/followers_schedule.sql"),
            scheduled: tasks,
            span: include_str!("sql/followers_span.sql"),
            expected: 2 * i64::from(tasks),
        }
    }

    /// Returns a queue of flows, each with 10 no-op steps. Only the tasks of the steps are counted.
    pub(crate) fn flows(flows: i32) -> Queue {
        Queue {
            schedule: include_str!("sql/flows_schedule.sql"),
            scheduled: flows,
            span: include_str!("sql/flows_span.sql"),
            expected: 10 * i64::from(flows),
        }
    }
}

/// The options of `drain`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Number of tasks of one measurement
    #[arg(long, default_value_t = 100_000)]
    tasks: i32,
    /// Number of measurements of each side
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Largest number of tasks that a worker claims at once
    #[arg(long, default_value_t = BATCH)]
    batch: usize,
    /// Values of `synchronous_commit` to measure with
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
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..repeat {
            let database = server.create().await?;
            server.set(&database, "synchronous_commit", sync).await?;
            bare.push(baseline::drain(&database, &server.cpu().await?, i64::from(tasks)).await?);
            server.drop(database).await?;
            let queue = Queue::plain(tasks);
            ours.push(drain(server, programs, args.workers, args.batch, &queue, sync).await?);
        }
        print_comparison(args.workers, sync, &bare, &ours);
    }
    Ok(())
}

fn print_comparison(workers: usize, sync: &str, bare: &[Drained], ours: &[Drained]) {
    let spread = |runs: &[Drained], figure: fn(&Drained) -> f64| {
        Spread::new(runs.iter().map(figure).collect())
    };
    let rates = [bare, ours].map(|runs| spread(runs, |run| run.rate));
    let costs = [bare, ours].map(|runs| spread(runs, |run| run.cpu_us));
    let ratio = rates[1].median() / rates[0].median();
    println!(
        "  synchronous_commit {sync}: bare SQL in batches {}, rework with {workers} workers {}",
        rates[0], rates[1]
    );
    println!(
        "    ratio {ratio:.2}, target ≥ {TARGET_RATIO}: {}",
        met_or_missed(ratio >= TARGET_RATIO)
    );
    println!("    CPU of a task, µs: bare SQL in batches {}, rework {}", costs[0], costs[1]);
}

/// Measures rework once. The tasks become visible with one commit, while all workers are idle.
pub(crate) async fn drain(
    server: &Server,
    programs: &Programs,
    workers: usize,
    batch: usize,
    queue: &Queue,
    sync: &str,
) -> anyhow::Result<Drained> {
    let database = server.create().await?;
    server.set(&database, "synchronous_commit", sync).await?;
    let batch = batch.to_string();
    let mut rework =
        Installation::start(&database, programs, workers, &["--batch", &batch]).await?;
    let cpu = server.cpu().await?;
    rework.client.batch_execute("begin").await?;
    rework.client.query(queue.schedule, &[&queue.scheduled]).await?;
    let now = "select clock_timestamp()";
    let stopwatch = cpu.start();
    rework.client.batch_execute("commit").await?;
    let since: DateTime<Utc> = rework.client.query_one(now, &[]).await?.get(0);
    rework.wait_until_drained(TIMEOUT).await?;
    let used = stopwatch.stop();
    let row = rework.client.query_one(queue.span, &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    // Only tasks that ended after `since` are counted. Workers may end a few between the commit and `since`.
    let expected = queue.expected;
    anyhow::ensure!(expected - done <= expected / 50, "only {done} of {expected} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Drained::new(done, seconds, used))
}
