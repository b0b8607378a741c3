//! Throughput: many short tasks that appear in one commit, drained by warm workers, beside bare SQL
//! with as many clients.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    bare,
    database::Server,
    installation::{Installation, Programs},
    spread::{Spread, verdict},
};

/// The least share of bare SQL's throughput.
const TARGET: f64 = 0.6;

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

/// What draining a queue took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drained {
    /// Tasks per second.
    rate: f64,
    /// Microseconds of CPU for each task, of everybody together.
    cpu_us: f64,
}

impl Drained {
    pub(crate) fn new(tasks: i64, seconds: f64, cpu_seconds: f64) -> Drained {
        let tasks = tasks as f64;
        Drained { rate: tasks / seconds, cpu_us: cpu_seconds * 1e6 / tasks }
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
            bare.push(bare::drain(&database, &cpu, workers, i64::from(tasks)).await?);
            server.drop(database).await?;
            ours.push(drain(server, programs, workers, tasks).await?);
        }
        let rates = |of: &[Drained]| Spread::new(of.iter().map(|one| one.rate).collect());
        let cpu_us = |of: &[Drained]| Spread::new(of.iter().map(|one| one.cpu_us).collect());
        let ratio = rates(&ours).median() / rates(&bare).median();
        println!("  {workers:2} workers: bare SQL {}, rework {}", rates(&bare), rates(&ours));
        println!("    ratio {ratio:.2}, target ≥ {TARGET}: {}", verdict(ratio >= TARGET));
        println!("    CPU of a task, µs: bare SQL {}, rework {}", cpu_us(&bare), cpu_us(&ours));
    }
    Ok(())
}

async fn drain(
    server: &Server,
    programs: &Programs,
    workers: usize,
    tasks: i32,
) -> anyhow::Result<Drained> {
    let database = server.create().await?;
    let cpu = server.cpu().await?;
    let mut rework = Installation::start(&database, programs, workers).await?;
    rework.client.query(include_str!("sql/rework_schedule.sql"), &[&tasks]).await?;
    let now = rework.client.query_one("select clock_timestamp()", &[]).await?;
    let since: DateTime<Utc> = now.get(0);
    let before = cpu.seconds();
    rework.drained(PATIENCE).await?;
    let used = cpu.seconds() - before;
    let row = rework.client.query_one(include_str!("sql/rework_span.sql"), &[&since]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    let early = i64::from(tasks) - done;
    anyhow::ensure!(early <= i64::from(tasks) / 100, "{done} of {tasks} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Drained::new(done, seconds, used))
}
