//! Throughput: many short tasks that appear in one commit, drained by warm workers, beside bare SQL
//! with as many clients.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    bare,
    database::Server,
    installation::{Installation, Programs},
    spread::{Drained, Spread, verdict},
};

/// The least share of bare SQL's throughput.
const TARGET: f64 = 0.6;

/// Percent of the machine that others may take before a ratio says nothing.
const MOST_OTHERS: f64 = 10.0;

const PATIENCE: Duration = Duration::from_secs(600);

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How many workers, and how many clients of bare SQL
    #[arg(long, value_delimiter = ',', default_values_t = [8, 16])]
    workers: Vec<usize>,
    /// Tasks of one measurement
    #[arg(long, default_value_t = 20_000)]
    tasks: i32,
    /// Measurements of each side
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
                bare::drain(&database, &cpu, workers, i64::from(tasks), Duration::ZERO).await?,
            );
            server.drop(database).await?;
            ours.push(drain(server, programs, workers, tasks).await?);
        }
        report(workers, &bare, &ours);
    }
    Ok(())
}

fn report(workers: usize, bare: &[Drained], ours: &[Drained]) {
    let spread =
        |of: &[Drained], what: fn(&Drained) -> f64| Spread::new(of.iter().map(what).collect());
    let rates = [bare, ours].map(|of| spread(of, |one| one.rate));
    let costs = [bare, ours].map(|of| spread(of, |one| one.cpu_us));
    let others = spread(&[bare, ours].concat(), |one| one.others);
    let ratio = rates[1].median() / rates[0].median();
    println!("  {workers:2} workers: bare SQL {}, rework {}", rates[0], rates[1]);
    println!("    ratio {ratio:.2}, target ≥ {TARGET}: {}", verdict(ratio >= TARGET));
    println!("    CPU of a task, µs: bare SQL {}, rework {}", costs[0], costs[1]);
    println!("    of the machine, others took {others} %");
    if others.median() > MOST_OTHERS {
        println!(
            "    so the ratio says little: more processes get a greater share of what is left"
        );
    }
}

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
    rework.drained(PATIENCE).await?;
    let used = stopwatch.stop();
    let row = rework.client.query_one(include_str!("sql/rework_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    let early = i64::from(tasks) - done;
    anyhow::ensure!(early <= i64::from(tasks) / 100, "{done} of {tasks} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Drained::new(done, seconds, used))
}
