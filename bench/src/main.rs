//! Measures rework beside bare SQL: throughput, the latency of a start, scheduling in bulk, the cost of being idle.
//!
//! `bench/figures` runs it on a Postgres of its own. Every measurement has a fresh database, and
//! what is compared alternates (bare, rework, bare, …), so that a machine that slows down slows
//! both. A figure is the median.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::disallowed_methods, reason = "it reads what it has written itself")]

mod aged;
mod bare;
mod bulk;
mod cpu;
mod crowd;
mod database;
mod drain;
mod fleet;
mod floor;
mod idle;
mod installation;
mod latency;
mod logs;
mod mixed;
mod scale;
mod single;
mod spread;
mod throughput;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{database::Server, installation::Programs};

#[derive(Debug, Parser)]
struct Args {
    /// Fewer tasks and repetitions: enough to see that everything works, not to quote
    #[arg(long, global = true)]
    quick: bool,
    /// Where `rework` and `bench-operations` are; left out: beside this program
    #[arg(long, global = true, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// What to measure; left out: everything
    #[command(subcommand)]
    measure: Option<Measure>,
}

#[derive(Debug, Clone, Subcommand)]
enum Measure {
    /// Tasks per second, beside bare SQL with as many clients
    Throughput(throughput::Args),
    /// Tasks per second of a full queue, beside the floor: a thin client that works in batches
    Drain(drain::Args),
    /// Tasks per second where each has a commit of its own, beside bare SQL with as many clients
    Single(single::Args),
    /// How long a short task waits behind a long one
    Mixed,
    /// From the commit of a task to the first instruction of its code
    Latency(latency::Args),
    /// Many tasks scheduled at once, beside `COPY` of the same rows
    Bulk(bulk::Args),
    /// Tasks per second under an old snapshot, and in a full table
    Aged(aged::Args),
    /// Lines per second of a task that prints, and what they cost other tasks
    Logs,
    /// What one Postgres carries of a thousand hosts, by their statements alone
    Scale(scale::Args),
    /// Memory and statements of a monitor whose workers have nothing to do
    Idle,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<()> {
    let dsn = std::env::var("REWORK_TEST_DSN")
        .context("REWORK_TEST_DSN is not set: run bench/figures, which brings a Postgres up")?;
    let server = Server::connect(&dsn).await?;
    let programs = Programs::find(args.programs)?;
    println!("{}", server.describe().await?);
    let quick = args.quick;
    match args.measure {
        Some(Measure::Throughput(of)) => throughput::run(&server, &programs, &of, quick).await,
        Some(Measure::Drain(of)) => drain::run(&server, &programs, &of, quick).await,
        Some(Measure::Single(of)) => single::run(&server, &programs, &of, quick).await,
        Some(Measure::Mixed) => mixed::run(&server, &programs, quick).await,
        Some(Measure::Latency(of)) => latency::run(&server, &programs, &of, quick).await,
        Some(Measure::Bulk(of)) => bulk::run(&server, &programs, &of, quick).await,
        Some(Measure::Aged(of)) => aged::run(&server, &programs, &of, quick).await,
        Some(Measure::Logs) => logs::run(&server, &programs, quick).await,
        Some(Measure::Scale(of)) => scale::run(&server, &of, quick).await,
        Some(Measure::Idle) => idle::run(&server, &programs, quick).await,
        None => {
            throughput::run(&server, &programs, &throughput::Args::default(), quick).await?;
            drain::run(&server, &programs, &drain::Args::default(), quick).await?;
            single::run(&server, &programs, &single::Args::default(), quick).await?;
            mixed::run(&server, &programs, quick).await?;
            latency::run(&server, &programs, &latency::Args::default(), quick).await?;
            bulk::run(&server, &programs, &bulk::Args::default(), quick).await?;
            aged::run(&server, &programs, &aged::Args::default(), quick).await?;
            logs::run(&server, &programs, quick).await?;
            scale::run(&server, &scale::Args::default(), quick).await?;
            idle::run(&server, &programs, quick).await
        }
    }
}
