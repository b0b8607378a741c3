//! The measurement `idle`: the memory, and the transactions in Postgres, of a monitor and two workers that have run a
//! few tasks and are idle now.

use std::{fs, time::Duration};

use tokio::time::sleep;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    latency,
    spread::met_or_missed,
};

const WORKERS: usize = 2;

/// The target for the resident memory of monitor and workers together, in MB of 1,000,000 bytes.
const TARGET_MB: f64 = 40.0;

/// The target for the transactions per second.
const TARGET_PER_SECOND: f64 = 2.0;

/// How long transactions are counted.
const WINDOW: Duration = Duration::from_secs(20);

/// After this time the statistics of Postgres include every transaction of an idle connection. An idle backend reports
/// its statistics after 10 s at the latest.
const STATISTICS_DELAY: Duration = Duration::from_secs(11);

/// After this time idle workers have closed their connections: they do so after a minute.
const IDLE_TIME: Duration = Duration::from_secs(65);

pub(crate) async fn run(server: &Server, programs: &Programs, quick: bool) -> anyhow::Result<()> {
    let (idle_time, window) =
        if quick { (Duration::from_secs(2), WINDOW / 4) } else { (IDLE_TIME, WINDOW) };
    println!("\nidle: a monitor and {WORKERS} workers that have run a few tasks");
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, WORKERS, &[]).await?;
    for _ in 0..10 {
        latency::start_latency(&mut rework).await?;
    }
    // Otherwise the transactions of this program could be counted too.
    sleep(STATISTICS_DELAY).await;
    print_memory(&rework, "at once")?;
    print_transactions(server, &database, "at once", window).await?;
    sleep(idle_time).await;
    let when = format!("after {} s", idle_time.as_secs());
    print_memory(&rework, &when)?;
    print_transactions(server, &database, &when, window).await?;
    let first = latency::start_latency(&mut rework).await?;
    println!("  the first task after that starts in {first:.2} ms");
    rework.stop().await?;
    server.drop(database).await
}

fn print_memory(rework: &Installation, when: &str) -> anyhow::Result<()> {
    let monitor = rework.pid()?;
    let workers = children(monitor)?;
    anyhow::ensure!(
        workers.len() == WORKERS,
        "the monitor has {} child processes instead of {WORKERS}",
        workers.len()
    );
    let mut total = Memory::of(monitor)?;
    let mut runners = Memory::default();
    for worker in workers {
        total.add(Memory::of(worker)?);
        for runner in children(worker)? {
            runners.add(Memory::of(runner)?);
        }
    }
    println!("  memory {when}: monitor and workers {total}; additionally their runners {runners}");
    println!("    target < {TARGET_MB} MB resident: {}", met_or_missed(total.resident < TARGET_MB));
    Ok(())
}

async fn print_transactions(
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
    println!("    target ≤ {TARGET_PER_SECOND}/s: {}", met_or_missed(rate <= TARGET_PER_SECOND));
    Ok(())
}

/// Returns the child processes of a process.
fn children(pid: i32) -> anyhow::Result<Vec<i32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let list = fs::read_to_string(thread?.path().join("children"))?;
        for child in list.split_whitespace() {
            children.push(child.parse()?);
        }
    }
    Ok(children)
}

/// The memory of one or more processes, in MB of 1,000,000 bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Memory {
    /// All pages in memory (RSS). Pages that several processes share are counted for each of them.
    resident: f64,
    /// Pages in memory, where a page that n processes share counts as 1/n (PSS).
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
        let value = |name| {
            megabytes(name)
                .ok_or_else(|| anyhow::anyhow!("no `{name}` in /proc/{pid}/smaps_rollup"))
        };
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
