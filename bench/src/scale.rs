//! Scale: what one Postgres carries of a large fleet. The fleet stands in the books alone; many
//! connections send what its monitors and workers would, as fast as it is answered, and the same to
//! fleets that differ in one thing, to see whose cost grows with it.

use std::{sync::Arc, time::Duration};

use crate::{
    cpu::Cpu,
    crowd::{Crowd, Done, Work},
    database::{Database, Server},
    fleet::{Fleet, Size},
    spread::{Spread, verdict},
};

/// The least share of a statement's cost that it must have in the smaller fleet already.
const TARGET: f64 = 0.8;

/// Hosts that tick once a second each.
const HOSTS: f64 = 1_000.0;

/// Tasks that there is no time for in a second, one by one and in batches: so many are made ready.
const SINGLE: f64 = 10_000.0;
const BATCHED: f64 = 60_000.0;

/// A batch.
const BATCH: i32 = 50;

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Hosts, each with 64 workers
    #[arg(long, default_value_t = 1_000)]
    hosts: i32,
    /// Tasks that are done before
    #[arg(long, default_value_t = 1_000_000)]
    done: i64,
    /// How many connections send at the same time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long each kind of statement is sent
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Measurements of each fleet
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { hosts: 1_000, done: 1_000_000, connections: 32, seconds: 1.0, repeat: 3 }
    }
}

/// What is measured of a fleet, in words.
const WORKS: [(Work, &str); 5] = [
    (Work::Tick, "looks of idle monitors, the one of each second"),
    (Work::Hint, "looks of idle monitors, at a hint"),
    (Work::Look, "claims where nothing is ready"),
    (Work::Exchange(1), "tasks, ended and claimed one by one"),
    (Work::Exchange(BATCH), "tasks, ended and claimed 50 at a time"),
];

/// A fleet, and what was seen of each work.
struct Scene {
    name: &'static str,
    /// It is the larger one of the two that are compared.
    larger: bool,
    database: Database,
    fleet: Arc<Fleet>,
    seen: [Vec<Done>; WORKS.len()],
}

pub(crate) async fn run(server: &Server, args: &Args, quick: bool) -> anyhow::Result<()> {
    let mut args = args.clone();
    if quick {
        (args.hosts, args.done, args.connections) = (100, 10_000, 8);
        (args.seconds, args.repeat) = (0.1, 1);
    }
    let Args { hosts, done, connections, repeat, .. } = args;
    let whole = Size { hosts, workers: 64, operations: 20, done, running: 10 * i64::from(hosts) };
    println!(
        "\nscale: {hosts} hosts of {} workers, {} operations, {done} tasks done, {} running; \
         {connections} connections, median of {repeat} (least … most)",
        whole.workers, whole.operations, whole.running
    );
    let mut scenes = Vec::new();
    for (name, larger, size) in fleets(whole) {
        let database = server.create().await?;
        let fleet = Arc::new(Fleet::fill(&database, &size).await?);
        scenes.push(Scene { name, larger, database, fleet, seen: Default::default() });
    }
    let cpu = server.own_cpu().await?;
    for _ in 0..repeat {
        for scene in &mut scenes {
            scene.measure(&args, &cpu).await?;
        }
    }
    for (place, (work, what)) in WORKS.into_iter().enumerate() {
        report(work, what, place, &scenes);
    }
    for Scene { database, .. } in scenes {
        server.drop(database).await?;
    }
    Ok(())
}

/// The whole one, and those that are compared with it.
fn fleets(whole: Size) -> [(&'static str, bool, Size); 5] {
    let running = i64::from(whole.hosts) * i64::from(whole.workers);
    [
        ("the whole", false, whole),
        ("a tenth of the hosts", false, Size { hosts: whole.hosts / 10, ..whole }),
        ("a tenth of the operations", false, Size { operations: whole.operations / 10, ..whole }),
        ("nothing done before", false, Size { done: 0, ..whole }),
        ("6.4 times as many running", true, Size { running, ..whole }),
    ]
}

impl Scene {
    async fn measure(&mut self, args: &Args, cpu: &Cpu) -> anyhow::Result<()> {
        let time = Duration::from_secs_f64(args.seconds);
        let mut crowd = Crowd::gather(Arc::clone(&self.fleet), args.connections).await?;
        for (seen, (work, _)) in self.seen.iter_mut().zip(WORKS) {
            self.fleet.renew().await?;
            if let Work::Exchange(most) = work {
                let rate = if most == 1 { SINGLE } else { BATCHED };
                let tasks = (rate * args.seconds) as i64;
                self.fleet.queue(tasks + crowd.holds(most)).await?;
            }
            seen.push(crowd.work(work, cpu, time).await?);
        }
        drop(crowd);
        self.fleet.tidy().await
    }
}

fn report(work: Work, what: &str, place: usize, scenes: &[Scene]) {
    let spread = |scene: &Scene, of: fn(&Done) -> f64| {
        Spread::new(scene.seen[place].iter().map(of).collect())
    };
    let Some((whole, others)) = scenes.split_first() else { return };
    let (rate, cost) = (spread(whole, |done| done.rate), spread(whole, |done| done.cpu_us));
    println!("  {what}: {rate}/s; CPU of the server for one, µs: {cost}");
    if work == Work::Tick {
        let met = verdict(rate.median() >= HOSTS);
        println!("    so as many hosts, target ≥ {HOSTS}: {met}");
    }
    for other in others {
        let there = spread(other, |done| done.cpu_us);
        let share = there.median() / cost.median();
        let ratio = if other.larger { share.recip() } else { share };
        let met = verdict(ratio >= TARGET);
        println!("    {}: {there}; small/large {ratio:.2}, target ≥ {TARGET}: {met}", other.name);
    }
}
