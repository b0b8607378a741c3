//! Chaos: tasks run on three hosts while processes, hosts, the network and Postgres fail in a random sequence.
//!
//! Each run writes lines to a file outside Postgres. After the faults, these lines are compared with what Postgres has
//! recorded. The random choices follow from a seed, which is printed. `REWORK_CHAOS_SEED` repeats the plan of a seed.
//!
//! `plan.rs` chooses the faults, and `faults.rs` carries them out on the hosts of `hosts.rs`. `load.rs` schedules the
//! tasks. `lines.rs` and `recorded.rs` read the `History`. `judge.rs` and `causes.rs` judge it, and `figures.rs`
//! describes it. `seed.rs` chooses the seed. `tests/feature_chaos.rs` uses most of these parts, too.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::installation::Installation;
use crate::support::{scale, wait};

use faults::{Faults, MAX_CONNECTIONS};
use figures::Circumstances;
use history::{AppliedFault, History};
use hosts::Host;
use lines::Moment;
use load::Load;
use plan::{Fault, HOSTS, Target, USUAL_LENGTH, USUAL_SEED};
use seed::RepetitionHint;

pub(crate) mod plan;
pub(crate) mod lines;
pub(crate) mod history;
mod causes;
pub(crate) mod judge;
pub(crate) mod clock;
pub(crate) mod hosts;
pub(crate) mod faults;
mod load;
pub(crate) mod recorded;
pub(crate) mod figures;
pub(crate) mod seed;

/// How long faults happen in `make soak`.
const SOAK_LENGTH: Duration = Duration::from_secs(240);

/// Time between two rounds of the test: which faults start or end, which monitors must be started, which tasks are
/// scheduled.
pub(crate) const ROUND: Duration = Duration::from_millis(20);

/// How long it may take after the faults until every task has ended. It is much longer than the longest pause before a
/// next attempt, a restart of a worker, or the loss of a lease of 2 s.
pub(crate) const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);

/// The error of the comparison of two clocks, in microseconds.
pub(crate) const CLOCK_PRECISION: u64 = 1_000;

#[test]
fn tasks_end_once_and_for_a_true_reason_while_hosts_network_and_postgres_fail() {
    let seed = seed::choose(USUAL_SEED);
    let _hint = RepetitionHint { seed, test: "chaos" };
    let length = if scale::is_soak() { SOAK_LENGTH } else { USUAL_LENGTH };
    let mut chaos = Chaos::new(seed);
    chaos.run(plan::plan(seed, length), length);
    let settled_after = chaos.settle();
    let history = chaos.end();
    let impossible = chaos.faults.impossible();
    let circumstances = Circumstances { seed, length, settled_after, impossible };
    let results = judge::judge(&history);
    let figures = figures::describe(circumstances, &history, &results);
    // Cargo does not show what a passed test prints with `eprintln!`.
    std::io::stderr().write_all(figures.as_bytes()).unwrap();
    let violations = figures::violations(&results);
    assert!(violations.is_empty(), "{violations}\n{figures}\n{}", chaos.setup.diagnostics());
    assert_much_happened(&history, &figures);
}

/// Asserts that the test was not idle, so that the absence of violations proves something.
#[track_caller]
fn assert_much_happened(history: &History, figures: &str) {
    for target in [Target::Monitor, Target::Worker, Target::Runner] {
        let is_kill = |fault: &AppliedFault| fault.fault == Fault::Kill(target);
        assert!(history.faults.iter().any(is_kill), "no {target:?} was killed\n{figures}");
    }
    let starts = history.lines.iter().filter(|line| line.moment == Moment::Start).count();
    assert!(history.faults.len() >= 20, "few faults\n{figures}");
    assert!(history.acknowledged.len() >= 100 && starts >= 100, "few tasks\n{figures}");
}

/// Everything that takes part in the test. The fields are dropped in this order: the server last.
struct Chaos {
    hosts: Vec<Host>,
    faults: Faults,
    load: Load,
    /// The file to which the runs write their lines.
    path: PathBuf,
    /// How far the wall clock was ahead at the start (`clock.rs`).
    wall_clock_offset: i64,
    setup: Installation,
    cluster: Cluster,
}

impl Chaos {
    /// Starts a Postgres server and the hosts, and waits until each has a monitor.
    fn new(seed: u64) -> Chaos {
        let connections = format!("max_connections={MAX_CONNECTIONS}");
        let cluster = Cluster::with_settings(&[connections.as_str()], |_| {});
        let setup = Installation::with_database(Database::on_cluster(&cluster));
        recorded::start_recording(setup.session());
        let mut hosts: Vec<Host> =
            (0..HOSTS).map(|number| Host::new(&setup, &cluster, number)).collect();
        for host in &mut hosts {
            host.keep_running(&setup);
        }
        setup.wait_until("each host has a monitor", || {
            hosts.iter().all(|host| host.is_registered(setup.session()))
        });
        let path = setup.folder().join("lines");
        // The test must not wait for rows that it has locked itself.
        let timeouts = "options=-c%20lock_timeout%3D200%20-c%20statement_timeout%3D5000";
        let dsn = format!("{}?connect_timeout=2&{timeouts}", cluster.dsn("jobs"));
        Chaos {
            hosts,
            faults: Faults::new(&dsn),
            load: Load::new(&dsn, &path, seed),
            path,
            wall_clock_offset: clock::wall_clock_offset(),
            setup,
            cluster,
        }
    }

    /// Carries out a plan, schedules tasks meanwhile, and then ends all faults.
    fn run(&mut self, plan: Vec<plan::Step>, length: Duration) {
        let started = Instant::now();
        let mut steps = plan.into_iter().peekable();
        while started.elapsed() < length {
            while let Some(step) = steps.next_if(|step| step.at <= started.elapsed()) {
                self.faults.start(&step, &mut self.hosts, &mut self.cluster);
            }
            self.faults.end_due(&self.hosts, &mut self.cluster);
            self.keep_monitors_running();
            self.load.offer();
            wait::let_time_pass(ROUND);
        }
        self.faults.end_all(&self.hosts, &mut self.cluster);
    }

    fn keep_monitors_running(&mut self) {
        for host in &mut self.hosts {
            host.keep_running(&self.setup);
        }
    }

    /// Waits until every task has ended, every host has a monitor, and the ends of all earlier monitors and workers are
    /// recorded, or until the time for that is over. Returns how long it took.
    fn settle(&mut self) -> Duration {
        let started = Instant::now();
        while !self.is_settled() && started.elapsed() < SETTLE_TIMEOUT {
            self.keep_monitors_running();
            wait::let_time_pass(ROUND);
        }
        started.elapsed()
    }

    fn is_settled(&mut self) -> bool {
        let session = self.setup.session();
        self.load.is_done()
            && self.hosts.iter().all(|host| host.is_registered(session))
            && recorded::earlier_workers_have_ended(session)
    }

    /// Ends the monitors, and returns what has happened.
    fn end(&mut self) -> History {
        let session = self.setup.session();
        let tasks = recorded::tasks(session);
        let transitions = recorded::transitions(session, self.wall_clock_offset);
        let not_started = recorded::not_started(session);
        for host in &mut self.hosts {
            host.signal_monitor(Signal::SIGTERM);
        }
        for host in &mut self.hosts {
            host.wait_until_drained();
        }
        let hosts = &self.hosts;
        let mut leftovers: Vec<String> = hosts.iter().flat_map(Host::leftovers).collect();
        leftovers.extend(recorded::leftovers(session));
        let lost = recorded::lost_with_host(session);
        leftovers.retain(|left| !lost.iter().any(|tag| left.contains(tag.as_str())));
        for left in &mut leftovers {
            let worker = recorded::worker_of(session, left);
            left.extend(worker.map(|worker| format!(" ({worker})")));
        }
        // Read last, so that it has the lines of processes that nobody should have left.
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let lines = lines::parse(&text).unwrap_or_else(|line| panic!("not a run's line: {line}"));
        let clock_change = clock::wall_clock_offset().abs_diff(self.wall_clock_offset);
        History {
            acknowledged: self.load.acknowledged().to_vec(),
            lines,
            tasks,
            transitions,
            not_started,
            faults: self.faults.applied().to_vec(),
            hosts: hosts.iter().map(|host| host.name().to_owned()).collect(),
            clock_error: CLOCK_PRECISION + clock_change,
            monitor_starts: hosts.iter().map(Host::starts).sum(),
            monitor_exits: hosts.iter().flat_map(Host::exits).cloned().collect(),
            workers: recorded::workers(session),
            lost_workers: lost.len(),
            leftovers,
        }
    }
}
