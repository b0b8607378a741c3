//! The measurement `throughput`: warm workers run many no-op tasks that are scheduled in one commit. Compares the rate
//! with as many clients of bare SQL (`bare_sql.rs`).

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    bare_sql,
    database::Server,
    installation::{Installation, Programs},
    spread::{Drained, Spread, met_or_missed},
};

/// The target: the least ratio of the rate to that of bare SQL.
const TARGET_RATIO: f64 = 0.6;

/// The share of the machine, in percent, beyond which other processes distort the ratio.
const MAX_OTHERS_PERCENT: f64 = 10.0;

/// The longest time that draining may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The options of `throughput`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Numbers of workers, and of clients of bare SQL, to measure with
    #[arg(long, value_delimiter = ',', default_values_t = [8, 16])]
    workers: Vec<usize>,
    /// Number of tasks of one measurement
    #[arg(long, default_value_t = 20_000)]
    tasks: i32,
    /// Number of measurements of each side
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { workers: vec![8, 16], tasks: 20_000, repeat: 5 }
    }
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let (tasks, repeat) = if quick { (1_000, 1) } else { (args.tasks, args.repeat) };
    println!("\nthroughput: tasks/s of {tasks} no-op tasks, median of {repeat} (least … most)");
    for &workers in &args.workers {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..repeat {
            let database = server.create().await?;
            let cpu = server.cpu().await?;
            bare.push(
                bare_sql::drain(&database, &cpu, workers, i64::from(tasks), Duration::ZERO).await?,
            );
            server.drop(database).await?;
            ours.push(drain(server, programs, workers, tasks).await?);
        }
        print_comparison(workers, &bare, &ours);
    }
    Ok(())
}

fn print_comparison(workers: usize, bare: &[Drained], ours: &[Drained]) {
    let spread = |runs: &[Drained], figure: fn(&Drained) -> f64| {
        Spread::new(runs.iter().map(figure).collect())
    };
    let rates = [bare, ours].map(|runs| spread(runs, |run| run.rate));
    let costs = [bare, ours].map(|runs| spread(runs, |run| run.cpu_us));
    let others = spread(&[bare, ours].concat(), |run| run.others_percent);
    let ratio = rates[1].median() / rates[0].median();
    println!("  {workers:2} workers: bare SQL {}, rework {}", rates[0], rates[1]);
    println!(
        "    ratio {ratio:.2}, target ≥ {TARGET_RATIO}: {}",
        met_or_missed(ratio >= TARGET_RATIO)
    );
    println!("    CPU of a task, µs: bare SQL {}, rework {}", costs[0], costs[1]);
    println!("    other processes used {others} % of the machine");
    if others.median() > MAX_OTHERS_PERCENT {
        println!(
            "    so the ratio is not reliable: the side with more processes gets a larger share of the CPUs"
        );
    }
}

/// Measures rework once.
async fn drain(
    server: &Server,
    programs: &Programs,
    workers: usize,
    tasks: i32,
) -> anyhow::Result<Drained> {
    let database = server.create().await?;
    let cpu = server.cpu().await?;
    let mut rework = Installation::start(&database, programs, workers, &[]).await?;
    rework.client.query(include_str!("sql/rework_schedule.sql"), &[&tasks]).await?;
    let now = rework.client.query_one("select clock_timestamp()", &[]).await?;
    let since: DateTime<Utc> = now.get(0);
    let stopwatch = cpu.start();
    rework.wait_until_drained(TIMEOUT).await?;
    let used = stopwatch.stop();
    let row = rework.client.query_one(include_str!("sql/rework_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    // `rework_span` counts the tasks that ended after `since`. Workers may end a few between the commit and `since`.
    let ended_before = i64::from(tasks) - done;
    anyhow::ensure!(
        ended_before <= i64::from(tasks) / 100,
        "only {done} of {tasks} tasks are done"
    );
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Drained::new(done, seconds, used))
}
