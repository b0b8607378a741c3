//! Idle: what a monitor and two workers cost that have run a few tasks and have nothing to do:
//! resident memory, and transactions that reach Postgres.

use std::{fs, time::Duration};

use tokio::time::sleep;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    latency,
    spread::verdict,
};

const WORKERS: usize = 2;

/// Monitor and workers together, in MB of 1,000,000 bytes.
const TARGET_MB: f64 = 40.0;

/// Transactions per second.
const TARGET_PER_SECOND: f64 = 2.0;

/// Over which transactions are counted.
const WINDOW: Duration = Duration::from_secs(20);

/// After which Postgres knows of every transaction of a connection that rests.
const SETTLE: Duration = Duration::from_secs(11);

/// A worker gives its connection back after a minute.
const REST: Duration = Duration::from_secs(65);

pub(crate) async fn run(server: &Server, programs: &Programs, quick: bool) -> anyhow::Result<()> {
    let (rest, window) = if quick { (Duration::from_secs(2), WINDOW / 4) } else { (REST, WINDOW) };
    println!("\nidle: a monitor and {WORKERS} workers that have run a few tasks");
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, WORKERS, &[]).await?;
    for _ in 0..10 {
        latency::start(&mut rework).await?;
    }
    // A connection may count its last transactions so late: ours must not be among those counted.
    sleep(SETTLE).await;
    say_memory(&rework, "at once")?;
    say_transactions(server, &database, "at once", window).await?;
    sleep(rest).await;
    say_memory(&rework, &format!("after {} s", rest.as_secs()))?;
    say_transactions(server, &database, &format!("after {} s", rest.as_secs()), window).await?;
    let first = latency::start(&mut rework).await?;
    println!("  the first task after that starts in {first:.2} ms");
    rework.stop().await?;
    server.drop(database).await
}

fn say_memory(rework: &Installation, when: &str) -> anyhow::Result<()> {
    let monitor = rework.pid()?;
    let workers = children(monitor)?;
    anyhow::ensure!(workers.len() == WORKERS, "the monitor has {} children", workers.len());
    let mut ours = Memory::of(monitor)?;
    let mut runners = Memory::default();
    for worker in workers {
        ours.add(Memory::of(worker)?);
        for runner in children(worker)? {
            runners.add(Memory::of(runner)?);
        }
    }
    println!("  memory {when}: monitor and workers {ours}; their runners besides {runners}");
    println!("    target < {TARGET_MB} MB resident: {}", verdict(ours.resident < TARGET_MB));
    Ok(())
}

async fn say_transactions(
    server: &Server,
    database: &crate::database::Database,
    when: &str,
    window: Duration,
) -> anyhow::Result<()> {
    let before = server.transactions(database).await?;
    sleep(window).await;
    let counted = server.transactions(database).await? - before;
    let rate = counted as f64 / window.as_secs_f64();
    println!("  transactions {when}: {rate:.2}/s over {} s", window.as_secs());
    println!("    target ≤ {TARGET_PER_SECOND}/s: {}", verdict(rate <= TARGET_PER_SECOND));
    Ok(())
}

fn children(pid: i32) -> anyhow::Result<Vec<i32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let list = fs::read_to_string(thread?.path().join("children"))?;
        for child in list.split_whitespace() {
            found.push(child.parse()?);
        }
    }
    Ok(found)
}

/// Of one or more processes, in MB.
#[derive(Debug, Default, Clone, Copy)]
struct Memory {
    resident: f64,
    /// What is shared with others counted in parts.
    proportional: f64,
}

impl Memory {
    fn of(pid: i32) -> anyhow::Result<Memory> {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let megabytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib * 1024.0 / 1e6)
        };
        let value = |name| megabytes(name).ok_or_else(|| anyhow::anyhow!("no {name} of {pid}"));
        Ok(Memory { resident: value("Rss:")?, proportional: value("Pss:")? })
    }

    fn add(&mut self, other: Memory) {
        self.resident += other.resident;
        self.proportional += other.proportional;
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} MB RSS, {:.1} MB PSS", self.resident, self.proportional)
    }
}
