//! Measures how fast other Rust job systems ("peers") run a queue of no-op jobs.
//!
//! `bench/peers/run` builds it and runs it with a private Postgres server. Every measurement has a fresh database. The
//! peers alternate, so that a machine that becomes slower affects all of them. A figure is the median. It is printed
//! twice: for people, and as a line for scripts.

#![expect(clippy::print_stdout, reason = "it prints the figures")]

mod database;
mod drain;
mod graphile;
mod peer;
mod river;
mod spread;

use anyhow::Context as _;
use clap::Parser;

use crate::{
    database::{Server, Sync},
    peer::Peer,
    spread::Spread,
};

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about = "Drains the queues of other Rust job systems")]
struct Args {
    /// Number of jobs of one measurement
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    tasks: u32,
    /// Number of measurements of each peer with each setting
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// The job system to measure; the default is all of them
    #[arg(long, value_name = "NAME")]
    peer: Option<Peer>,
    /// The value of `synchronous_commit`; the default is both, on and then off
    #[arg(long)]
    sync: Option<Sync>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&args))
}

async fn measure(args: &Args) -> anyhow::Result<()> {
    let dsn = std::env::var("REWORK_TEST_DSN")
        .context("REWORK_TEST_DSN is not set: run bench/peers/run, which starts a Postgres server")?;
    let mut server = Server::connect(&dsn).await?;
    println!("{}", server.describe().await?);
    println!("jobs/s of {} no-op jobs, median of {} (least … most)", args.tasks, args.repeat);
    let peers = args.peer.map_or_else(|| Peer::ALL.to_vec(), |peer| vec![peer]);
    let settings = args.sync.map_or_else(|| vec![Sync::On, Sync::Off], |sync| vec![sync]);
    for sync in settings {
        let mut rates = vec![Vec::new(); peers.len()];
        for _ in 0..args.repeat {
            for (peer, rates) in peers.iter().zip(&mut rates) {
                rates.push(measure_rate(&mut server, *peer, sync, args.tasks).await?);
            }
        }
        for (peer, rates) in peers.iter().zip(rates) {
            print_rates(*peer, sync, &Spread::new(rates));
        }
    }
    Ok(())
}

/// Measures one peer in a fresh database. Returns jobs per second.
async fn measure_rate(server: &mut Server, peer: Peer, sync: Sync, tasks: u32) -> anyhow::Result<f64> {
    let database = server.create(sync).await?;
    let drained = peer.drain(&database, tasks).await;
    server.drop(&database).await?;
    let took = drained.with_context(|| format!("{peer} with synchronous_commit {sync}"))?;
    Ok(f64::from(tasks) / took.as_secs_f64())
}

/// Prints the figures of one peer with one setting.
fn print_rates(peer: Peer, sync: Sync, rates: &Spread) {
    let (median, least, greatest) = (rates.median(), rates.least(), rates.most());
    println!("  {peer} {}, synchronous_commit {sync}: {rates} jobs/s", peer.version());
    println!("{peer} sync={sync} jobs_per_s={median:.0} least={least:.0} most={greatest:.0}");
}
