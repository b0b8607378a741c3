//! Feature chaos: unique keys, tasks that wait for others or follow them, runs that are put off, and pauses, on two
//! hosts, while monitors, workers, runners and the backends of their connections are killed at random.
//!
//! Each run writes lines to a file outside Postgres, and the promises are judged by these. The kills and the requests
//! follow from a seed, which is printed. `REWORK_CHAOS_SEED` repeats them.
//!
//! The hosts, the faults and the general rules are those of `chaos.rs`. `kills.rs` chooses the kills, `load.rs` has the
//! clients, and `pauses.rs` pauses operations. `witnessed.rs` reads what happened, and `judge.rs` judges it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::chaos::faults::Faults;
use crate::chaos::history::History;
use crate::chaos::hosts::Host;
use crate::chaos::judge::RuleResult;
use crate::chaos::plan::{Fault, PROXIED_HOSTS, Step, Target};
use crate::chaos::seed::{self, RepetitionHint};
use crate::chaos::{CLOCK_PRECISION, ROUND, SETTLE_TIMEOUT, clock, figures, recorded};
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::installation::Installation;
use crate::support::{scale, wait};

use load::Acknowledged;
use pauses::Pauses;
use witnessed::Features;

mod judge;
mod kills;
mod load;
mod pauses;
mod witnessed;

/// The seed of `make test`.
const USUAL_SEED: u64 = 18;

/// The number of hosts. Each has a monitor.
const HOSTS: usize = 2;

/// How long the clients need for their tasks at least, which is as long as processes are killed. In `make soak` they
/// also wait for Postgres.
const USUAL_LENGTH: Duration = Duration::from_secs(4);
const SOAK_LENGTH: Duration = Duration::from_secs(120);

/// The plan of kills is longer than any test.
const LENGTH_OF_PLAN: Duration = Duration::from_secs(3_600);

#[test]
fn keys_order_pauses_and_delays_hold_while_processes_and_backends_are_killed() {
    let seed = seed::choose(USUAL_SEED);
    let _hint = RepetitionHint { seed, test: "feature_chaos" };
    let (length, count) = if scale::is_soak() { (SOAK_LENGTH, 10_000) } else { (USUAL_LENGTH, 60) };
    let mut chaos = FeatureChaos::new();
    let clients = load::start(&chaos.client_dsn(), &chaos.path, seed, count, length / count as u32);
    let mut steps = kills::plan(seed, HOSTS, LENGTH_OF_PLAN).into_iter().peekable();
    let started = Instant::now();
    while clients.iter().any(|client| !client.is_finished()) {
        while let Some(step) = steps.next_if(|step| step.at <= started.elapsed()) {
            chaos.kill(&step);
        }
        chaos.go_on(true);
        wait::let_time_pass(ROUND);
    }
    let clients = clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>();
    let took = started.elapsed();
    let settled_after = chaos.settle();
    let features = chaos.end(&clients);
    let results = judge::judge(&features);
    let (took, settled) = (took.as_secs_f64(), settled_after.as_secs_f64());
    let mut text = format!(
        "feature chaos, seed {seed}: {count} tasks from each of {} clients in {took:.1} s; \
         all was over {settled:.1} s later\n",
        clients.len(),
    );
    describe(&mut text, &chaos, &features, &clients, &results);
    // Cargo does not show what a passed test prints with `eprintln!`.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    let violations = figures::violations(&results);
    assert!(violations.is_empty(), "{violations}\n{text}\n{}", chaos.setup.diagnostics());
    assert_much_happened(&features, &clients, &text);
}

/// Describes what happened, and the result of each rule with the number of its cases.
fn describe(
    text: &mut String,
    chaos: &FeatureChaos,
    features: &Features,
    clients: &[Acknowledged],
    results: &[RuleResult],
) {
    let history = &features.history;
    let kills = figures::count(history.faults.iter().map(|fault| fault.fault.name()));
    let states = figures::count(history.tasks.iter().map(|task| task.state.as_str()));
    let kept: usize = clients.iter().map(|client| client.kept).sum();
    let put_off: i64 = features.put_off.iter().map(|task| task.uncounted_runs).sum();
    let (pauses, unanswered) = (features.pauses.len(), chaos.pauses.unanswered());
    for line in [
        format!("{} kills: {}", history.faults.len(), figures::list(&kills)),
        format!("{} tasks: {}", history.tasks.len(), figures::list(&states)),
        format!("{kept} requests found a task with their key; {put_off} runs were put off"),
        format!("{pauses} pauses; {unanswered} commands `rework pause` failed"),
    ] {
        let _ = writeln!(text, "  {line}");
    }
    for RuleResult { rule, cases, violations } in results {
        let _ = writeln!(text, "  {} of {cases} {rule}", violations.len());
    }
}

/// Asserts that the test was not idle, so that the absence of violations proves something.
#[track_caller]
fn assert_much_happened(features: &Features, clients: &[Acknowledged], text: &str) {
    let is_killed =
        |target| features.history.faults.iter().any(|fault| fault.fault == Fault::Kill(target));
    for target in [Target::Monitor, Target::Worker, Target::Runner] {
        assert!(is_killed(target), "no {target:?} was killed\n{text}");
    }
    assert!(clients.iter().any(|client| client.kept > 0), "no key was taken\n{text}");
    assert!(!features.put_off.is_empty(), "no run was put off\n{text}");
    assert!(!features.pauses.is_empty(), "no pause was answered\n{text}");
    let is_followed = features.followed.iter().any(|task| task.is_done);
    assert!(is_followed, "no task is done that is followed\n{text}");
}

/// Everything that takes part in the test. The fields are dropped in this order: the server last.
struct FeatureChaos {
    hosts: Vec<Host>,
    faults: Faults,
    pauses: Pauses,
    /// The file to which the runs write their lines.
    path: PathBuf,
    wall_clock_offset: i64,
    setup: Installation,
    cluster: Cluster,
}

impl FeatureChaos {
    /// Starts a Postgres server, because backends of other tests must not be killed. Starts the hosts, and waits until
    /// each has a monitor.
    fn new() -> FeatureChaos {
        let cluster = Cluster::new();
        let setup = Installation::with_database(Database::on_cluster(&cluster));
        recorded::start_recording(setup.session());
        // The first hosts have a proxy, which this test does not need.
        let numbers = PROXIED_HOSTS..PROXIED_HOSTS + HOSTS;
        let mut hosts: Vec<Host> =
            numbers.map(|number| Host::new(&setup, &cluster, number)).collect();
        for host in &mut hosts {
            host.keep_running(&setup);
        }
        setup.wait_until("each host has a monitor", || {
            hosts.iter().all(|host| host.is_registered(setup.session()))
        });
        FeatureChaos {
            hosts,
            faults: Faults::new(&cluster.dsn("jobs")),
            pauses: Pauses::new(),
            path: setup.folder().join("lines"),
            wall_clock_offset: clock::wall_clock_offset(),
            setup,
            cluster,
        }
    }

    /// Returns the DSN of the clients. By their name, their backends are killed as those of workers are.
    fn client_dsn(&self) -> String {
        let options = "application_name=rework%20client&options=-c%20statement_timeout%3D5000";
        format!("{}?{options}", self.cluster.dsn("jobs"))
    }

    fn kill(&mut self, step: &Step) {
        self.faults.start(step, &mut self.hosts, &mut self.cluster);
    }

    /// Starts monitors that have ended, and goes on with the pauses.
    fn go_on(&mut self, may_pause: bool) {
        for host in &mut self.hosts {
            host.keep_running(&self.setup);
        }
        self.pauses.go_on(&self.setup, may_pause);
    }

    /// Waits until nothing is paused, every task has ended, and every host has a monitor, or until the time for that is
    /// over. At least one pause is answered. Returns how long it took.
    fn settle(&mut self) -> Duration {
        let started = Instant::now();
        while !self.is_settled() && started.elapsed() < SETTLE_TIMEOUT {
            self.go_on(self.pauses.over().is_empty());
            wait::let_time_pass(ROUND);
        }
        started.elapsed()
    }

    fn is_settled(&self) -> bool {
        let session = self.setup.session();
        let sql = "select not exists (select from rework.task where finished_at is null)";
        let has_ended = || session.query_value::<bool>(sql, &[]);
        self.pauses.is_idle()
            && !self.pauses.over().is_empty()
            && self.hosts.iter().all(|host| host.is_registered(session))
            && has_ended()
    }

    /// Ends the monitors, and returns what has happened.
    fn end(&mut self, clients: &[Acknowledged]) -> Features {
        for host in &mut self.hosts {
            host.signal_monitor(Signal::SIGTERM);
        }
        for host in &mut self.hosts {
            host.wait_until_drained();
        }
        let session = self.setup.session();
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let (lines, labels) =
            witnessed::parse(&text).unwrap_or_else(|line| panic!("not a run's line: {line}"));
        let clock_change = clock::wall_clock_offset().abs_diff(self.wall_clock_offset);
        let history = History {
            acknowledged: clients.iter().flat_map(|client| client.tasks.clone()).collect(),
            lines,
            tasks: recorded::tasks(session),
            transitions: recorded::transitions(session, self.wall_clock_offset),
            not_started: recorded::not_started(session),
            faults: self.faults.applied().to_vec(),
            clock_error: CLOCK_PRECISION + clock_change,
            monitor_starts: self.hosts.iter().map(Host::starts).sum(),
            monitor_exits: self.hosts.iter().flat_map(Host::exits).cloned().collect(),
            ..History::default()
        };
        Features {
            history,
            labels,
            pauses: self.pauses.over().to_vec(),
            followed: witnessed::followed(session),
            put_off: witnessed::put_off(session),
        }
    }
}
