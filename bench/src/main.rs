//! The benchmark program: measures rework, and compares it with bare SQL on the same machine in the same run.
//!
//! `bench/figures` runs it with a private Postgres server. Every measurement has a fresh database. Two sides that are
//! compared alternate (bare SQL, rework, bare SQL, …), so that a machine that becomes slower affects both. A figure is
//! the median of the repetitions. Each measurement is one file; `bench/README.md` shows the results.

#![expect(clippy::print_stdout, reason = "it prints the figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "`Row::get` may panic, but it reads only rows of its own statements"
)]

mod aged;
mod bare_sql;
mod baseline;
mod bulk;
mod clients;
mod cpu;
mod database;
mod drain;
mod fleet;
mod flow_costs;
mod flow_worker;
mod flows;
mod followers;
mod idle;
mod installation;
mod latency;
mod logs;
mod mixed;
mod scale;
mod schedules;
mod single;
mod spread;
mod throughput;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{database::Server, installation::Programs};

#[derive(Debug, Parser)]
struct Args {
    /// Use fewer tasks and repetitions: enough to check that everything works, but not for figures
    #[arg(long, global = true)]
    quick: bool,
    /// Folder of `rework` and `bench-operations`; the default is the folder of this program
    #[arg(long, global = true, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// The measurement to run; the default is all of them
    #[command(subcommand)]
    measure: Option<Measure>,
}

#[derive(Debug, Clone, Subcommand)]
enum Measure {
    /// Measure tasks per second, compared with as many clients of bare SQL
    Throughput(throughput::Args),
    /// Measure tasks per second from a full queue, compared with bare SQL in batches
    Drain(drain::Args),
    /// Measure tasks per second from a full queue whose tasks are followed by others, compared with a plain queue
    Followers(followers::Args),
    /// Measure flows: the duration of one, the rate of many, and the cost of a step in large and old ones
    Flows(flows::Args),
    /// Measure tasks per second with a commit for each task, compared with as many clients of bare SQL
    Single(single::Args),
    /// Measure how long a short task waits behind a long one
    Mixed,
    /// Measure the time from the commit of a task to the first instruction of its code
    Latency(latency::Args),
    /// Measure scheduling many tasks at once, compared with `COPY` of the same rows
    Bulk(bulk::Args),
    /// Measure tasks per second with an old snapshot, and in a full table
    Aged(aged::Args),
    /// Measure the lines per second of a task that prints, and how much that slows down other tasks
    Logs,
    /// Measure how many statements of a thousand hosts one Postgres server executes, without processes behind them
    Scale(scale::Args),
    /// Measure how many instants of schedules that are due at once one monitor fires in a second
    Schedules,
    /// Measure memory and transactions of a monitor whose workers are idle
    Idle,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<()> {
    let dsn = std::env::var("REWORK_TEST_DSN")
        .context("REWORK_TEST_DSN is not set: run bench/figures, which starts a Postgres server")?;
    let server = Server::connect(&dsn).await?;
    let programs = Programs::find(args.programs)?;
    println!("{}", server.describe().await?);
    let quick = args.quick;
    match args.measure {
        Some(Measure::Throughput(args)) => throughput::run(&server, &programs, &args, quick).await,
        Some(Measure::Drain(args)) => drain::run(&server, &programs, &args, quick).await,
        Some(Measure::Followers(args)) => followers::run(&server, &programs, &args, quick).await,
        Some(Measure::Flows(args)) => flows::run(&server, &programs, &args, quick).await,
        Some(Measure::Single(args)) => single::run(&server, &programs, &args, quick).await,
        Some(Measure::Mixed) => mixed::run(&server, &programs, quick).await,
        Some(Measure::Latency(args)) => latency::run(&server, &programs, &args, quick).await,
        Some(Measure::Bulk(args)) => bulk::run(&server, &programs, &args, quick).await,
        Some(Measure::Aged(args)) => aged::run(&server, &programs, &args, quick).await,
        Some(Measure::Logs) => logs::run(&server, &programs, quick).await,
        Some(Measure::Scale(args)) => scale::run(&server, &args, quick).await,
        Some(Measure::Schedules) => schedules::run(&server, quick).await,
        Some(Measure::Idle) => idle::run(&server, &programs, quick).await,
        None => {
            throughput::run(&server, &programs, &throughput::Args::default(), quick).await?;
            drain::run(&server, &programs, &drain::Args::default(), quick).await?;
            followers::run(&server, &programs, &followers::Args::default(), quick).await?;
            flows::run(&server, &programs, &flows::Args::default(), quick).await?;
            single::run(&server, &programs, &single::Args::default(), quick).await?;
            mixed::run(&server, &programs, quick).await?;
            latency::run(&server, &programs, &latency::Args::default(), quick).await?;
            bulk::run(&server, &programs, &bulk::Args::default(), quick).await?;
            aged::run(&server, &programs, &aged::Args::default(), quick).await?;
            logs::run(&server, &programs, quick).await?;
            scale::run(&server, &scale::Args::default(), quick).await?;
            schedules::run(&server, quick).await?;
            idle::run(&server, &programs, quick).await
        }
    }
}
