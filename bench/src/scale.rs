//! The measurement `scale`: how large a fleet one Postgres server can serve. The fleet exists only in the database
//! (`fleet.rs`); many connections send the statements of its monitors and workers (`clients.rs`) as fast as they are
//! answered. The same is measured for fleets that differ in one respect, to see which costs grow with what.

use std::{sync::Arc, time::Duration};

use crate::{
    clients::{Clients, ClientsResult, Workload},
    cpu::Cpu,
    database::{Database, Server},
    fleet::{Fleet, FleetSize},
    spread::{Spread, met_or_missed},
};

/// The target: the least ratio of the cost of a statement in a smaller fleet to that in a larger one. With 1 the cost
/// does not grow.
const TARGET_RATIO: f64 = 0.8;

/// The target for the number of hosts. The monitor of each host polls once a second.
const TARGET_HOSTS: f64 = 1_000.0;

/// Number of tasks that are queued for each second of a measurement, if they are claimed one by one. It is more than
/// can be done in that time.
const QUEUED_SINGLE: f64 = 10_000.0;

/// Number of tasks that are queued for each second of a measurement, if they are claimed in
/// batches.
const QUEUED_BATCHES: f64 = 60_000.0;

/// Number of tasks of a batch.
const BATCH: i32 = 50;

/// The options of `scale`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of hosts, each with 64 workers
    #[arg(long, default_value_t = 1_000)]
    hosts: i32,
    /// Number of done tasks in the table
    #[arg(long, default_value_t = 1_000_000)]
    done: i64,
    /// Number of connections that send statements at the same time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long each kind of statement is sent, in seconds
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Number of measurements of each fleet
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { hosts: 1_000, done: 1_000_000, connections: 32, seconds: 1.0, repeat: 3 }
    }
}

/// The workloads, with the names that are printed. Each is measured with each of the [`fleets`]: the hosts, workers,
/// operations and tasks in one database.
const WORKLOADS: [(Workload, &str); 5] = [
    (Workload::RegularPoll, "polls of idle monitors, one each second"),
    (Workload::NotifiedPoll, "polls of idle monitors, after a notification"),
    (Workload::EmptyClaim, "claims while nothing is ready"),
    (Workload::Exchange(1), "tasks, ended and claimed one by one"),
    (Workload::Exchange(BATCH), "tasks, ended and claimed 50 at a time"),
];

/// A fleet, and what was measured of it.
struct Scenario {
    name: &'static str,
    /// Whether this fleet is larger than the first one, with which it is compared.
    is_larger: bool,
    database: Database,
    fleet: Arc<Fleet>,
    /// The results of each workload, in the order of [`WORKLOADS`].
    results: [Vec<ClientsResult>; WORKLOADS.len()],
}

pub(crate) async fn run(server: &Server, args: &Args, quick: bool) -> anyhow::Result<()> {
    let mut args = args.clone();
    if quick {
        (args.hosts, args.done, args.connections) = (100, 10_000, 8);
        (args.seconds, args.repeat) = (0.1, 1);
    }
    let Args { hosts, done, connections, repeat, .. } = args;
    let whole =
        FleetSize { hosts, workers: 64, operations: 20, done, running: 10 * i64::from(hosts) };
    println!(
        "\nscale: {hosts} hosts of {} workers, {} operations, {done} tasks done, {} running; \
         {connections} connections, median of {repeat} (least … most)",
        whole.workers, whole.operations, whole.running
    );
    let mut scenarios = Vec::new();
    for (name, is_larger, size) in fleets(whole) {
        let database = server.create().await?;
        let fleet = Arc::new(Fleet::fill(&database, &size).await?);
        scenarios.push(Scenario { name, is_larger, database, fleet, results: Default::default() });
    }
    let cpu = server.server_cpu().await?;
    for _ in 0..repeat {
        for scenario in &mut scenarios {
            scenario.measure(&args, &cpu).await?;
        }
    }
    for index in 0..WORKLOADS.len() {
        print_workload(index, &scenarios);
    }
    for Scenario { database, .. } in scenarios {
        server.drop(database).await?;
    }
    Ok(())
}

/// Returns the fleets to measure: the whole one, and those that are compared with it. The second value is whether a
/// fleet is larger than the whole one.
fn fleets(whole: FleetSize) -> [(&'static str, bool, FleetSize); 5] {
    let running = i64::from(whole.hosts) * i64::from(whole.workers);
    [
        ("the whole", false, whole),
        ("a tenth of the hosts", false, FleetSize { hosts: whole.hosts / 10, ..whole }),
        (
            "a tenth of the operations",
            false,
            FleetSize { operations: whole.operations / 10, ..whole },
        ),
        ("nothing done before", false, FleetSize { done: 0, ..whole }),
        ("6.4 times as many running", true, FleetSize { running, ..whole }),
    ]
}

impl Scenario {
    /// Measures each workload once.
    async fn measure(&mut self, args: &Args, cpu: &Cpu) -> anyhow::Result<()> {
        let time = Duration::from_secs_f64(args.seconds);
        let mut clients = Clients::connect(Arc::clone(&self.fleet), args.connections).await?;
        for (results, (workload, _)) in self.results.iter_mut().zip(WORKLOADS) {
            self.fleet.renew_leases().await?;
            if let Workload::Exchange(batch) = workload {
                let rate = if batch == 1 { QUEUED_SINGLE } else { QUEUED_BATCHES };
                let tasks = (rate * args.seconds) as i64;
                self.fleet.queue(tasks + clients.claimed_tasks(batch)).await?;
            }
            results.push(clients.measure(workload, cpu, time).await?);
        }
        drop(clients);
        self.fleet.delete_added_tasks().await
    }
}

/// Prints the results of the workload with this index in [`WORKLOADS`], and compares its cost in all fleets.
fn print_workload(index: usize, scenarios: &[Scenario]) {
    let (workload, name) = WORKLOADS[index];
    let spread = |scenario: &Scenario, figure: fn(&ClientsResult) -> f64| {
        Spread::new(scenario.results[index].iter().map(figure).collect())
    };
    let Some((whole, others)) = scenarios.split_first() else { return };
    let rate = spread(whole, |measured| measured.rate);
    let cost = spread(whole, |measured| measured.cpu_us);
    println!("  {name}: {rate}/s; CPU of the server for one, µs: {cost}");
    if workload == Workload::RegularPoll {
        let met = met_or_missed(rate.median() >= TARGET_HOSTS);
        println!("    so as many hosts, target ≥ {TARGET_HOSTS}: {met}");
    }
    for other in others {
        let other_cost = spread(other, |measured| measured.cpu_us);
        let share = other_cost.median() / cost.median();
        let ratio = if other.is_larger { share.recip() } else { share };
        let met = met_or_missed(ratio >= TARGET_RATIO);
        println!(
            "    {}: {other_cost}; small/large {ratio:.2}, target ≥ {TARGET_RATIO}: {met}",
            other.name
        );
    }
}
