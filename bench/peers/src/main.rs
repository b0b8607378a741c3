//! Measures how fast other Rust job systems drain a queue of no-op jobs.
//!
//! `bench/peers/run` builds it and gives it a Postgres of its own. Every measurement has a fresh
//! database; the peers take turns, so that a machine that slows down slows all of them. A figure is
//! the median, said twice: for people, and in a line that a script reads.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

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

/// How much of what.
#[derive(Debug, Parser)]
#[command(version, about = "Drains the queues of other Rust job systems")]
struct Args {
    /// Jobs of one measurement
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    tasks: u32,
    /// Measurements of each peer at each setting
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Whom to measure; left out: everybody
    #[arg(long, value_name = "NAME")]
    peer: Option<Peer>,
    /// `synchronous_commit` of the databases; left out: on, then off
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
        .context("REWORK_TEST_DSN is not set: run bench/peers/run, which brings a Postgres up")?;
    let mut server = Server::connect(&dsn).await?;
    println!("{}", server.describe().await?);
    println!("jobs/s of {} no-op jobs, median of {} (least … most)", args.tasks, args.repeat);
    let peers = args.peer.map_or_else(|| Peer::ALL.to_vec(), |peer| vec![peer]);
    let settings = args.sync.map_or_else(|| vec![Sync::On, Sync::Off], |sync| vec![sync]);
    for sync in settings {
        let mut rates = vec![Vec::new(); peers.len()];
        for _ in 0..args.repeat {
            for (peer, rates) in peers.iter().zip(&mut rates) {
                rates.push(rate(&mut server, *peer, sync, args.tasks).await?);
            }
        }
        for (peer, rates) in peers.iter().zip(rates) {
            report(*peer, sync, &Spread::new(rates));
        }
    }
    Ok(())
}

/// Jobs per second of one peer in a database of its own.
async fn rate(server: &mut Server, peer: Peer, sync: Sync, tasks: u32) -> anyhow::Result<f64> {
    let database = server.create(sync).await?;
    let drained = peer.drain(&database, tasks).await;
    server.drop(&database).await?;
    let took = drained.with_context(|| format!("{peer} with synchronous_commit {sync}"))?;
    Ok(f64::from(tasks) / took.as_secs_f64())
}

fn report(peer: Peer, sync: Sync, rates: &Spread) {
    let (median, least, most) = (rates.median(), rates.least(), rates.most());
    println!("  {peer} {}, synchronous_commit {sync}: {rates} jobs/s", peer.version());
    println!("{peer} sync={sync} jobs_per_s={median:.0} least={least:.0} most={most:.0}");
}
