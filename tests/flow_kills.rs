//! Random flows on two hosts, while runners, workers and monitors are killed at random and Postgres is restarted.
//!
//! Each step writes to a trace outside Postgres, and `flow_kills/judge.rs` compares it with what Postgres has recorded.
//! The flows (`flow_kills/shapes.rs`) and the kills follow from a seed, which is printed. `REWORK_CHAOS_SEED` repeats
//! them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::chaos::hosts::Host;
use crate::chaos::plan::{PROXIED_HOSTS, Target};
use crate::chaos::seed::{self, RepetitionHint};
use crate::chaos::{ROUND, SETTLE_TIMEOUT};
use crate::support::cluster::{Cluster, ShutdownMode};
use crate::support::database::Database;
use crate::support::flow::read_trace;
use crate::support::installation::Installation;
use crate::support::{processes, scale, wait};

use judge::Counts;
use shapes::Shapes;

mod judge;
mod shapes;

/// The seed of `make test`.
pub(crate) const USUAL_SEED: u64 = 19;

const HOSTS: usize = 2;

/// The events of a round of faults, each once. The first restart is a crash, the second one is not, and so on.
const FAULTS: [Fault; 12] = [
    Fault::Kill(Target::Monitor),
    Fault::Kill(Target::Worker),
    Fault::Kill(Target::Worker),
    Fault::Kill(Target::Worker),
    Fault::Kill(Target::Worker),
    Fault::Kill(Target::Runner),
    Fault::Kill(Target::Runner),
    Fault::Kill(Target::Runner),
    Fault::Kill(Target::Runner),
    Fault::Kill(Target::Runner),
    Fault::Kill(Target::Runner),
    Fault::Restart,
];

/// The number of rounds in which flows are scheduled, the same number before each fault. In `make soak`, there are faults
/// until all flows have ended.
const USUAL_ROUNDS: usize = 2;
const SOAK_ROUNDS: usize = 40;

/// The pause between two faults, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 80..320;

/// How long Postgres stays away, in milliseconds.
const OUTAGE_MS: std::ops::Range<u64> = 20..300;

#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill(Target),
    /// Postgres is stopped, and started again.
    Restart,
}

#[test]
fn flows_are_done_or_undone_while_processes_are_killed_and_postgres_is_restarted() {
    let seed = seed::choose(USUAL_SEED);
    let _hint = RepetitionHint { seed, test: "flow_kills" };
    let mut kills = FlowKills::new(seed);
    let started = Instant::now();
    kills.disturb(scale::count(60, 2_000));
    let disturbed = started.elapsed();
    kills.settle();
    let mut text = format!(
        "flow kills, seed {seed}: {} flows, disturbed for {:.1} s, all over after {:.1} s\n",
        kills.flows.len(),
        disturbed.as_secs_f64(),
        started.elapsed().as_secs_f64(),
    );
    let violations = kills.judge(&mut text);
    // Cargo does not show what a passed test prints with `eprintln!`.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    assert!(violations.is_empty(), "{}\n{text}", violations.join("\n"));
}

/// Everything that takes part in the test. The fields are dropped in this order: the server last.
struct FlowKills {
    random: Rng,
    shapes: Shapes,
    hosts: Vec<Host>,
    flows: Vec<ScheduledFlow>,
    /// The events so far, with the number of times.
    faults: BTreeMap<String, usize>,
    /// How often a flow was retried of which a revert failed.
    retried: usize,
    setup: Installation,
    cluster: Cluster,
}

struct ScheduledFlow {
    id: i64,
    input: Value,
    trace: PathBuf,
}

impl FlowKills {
    /// Starts a Postgres server and the hosts, and waits until each has a monitor.
    fn new(seed: u64) -> FlowKills {
        let cluster = Cluster::new();
        let setup = Installation::with_database(Database::on_cluster(&cluster));
        let numbers = PROXIED_HOSTS..PROXIED_HOSTS + HOSTS;
        let mut hosts: Vec<Host> =
            numbers.map(|number| Host::new(&setup, &cluster, number)).collect();
        for host in &mut hosts {
            host.keep_running(&setup);
        }
        setup.wait_until("each host has a monitor", || {
            hosts.iter().all(|host| host.is_registered(setup.session()))
        });
        FlowKills {
            random: Rng::with_seed(seed),
            shapes: Shapes::new(seed),
            hosts,
            flows: Vec::new(),
            faults: BTreeMap::new(),
            retried: 0,
            setup,
            cluster,
        }
    }

    /// Schedules flows until there are so many.
    fn schedule(&mut self, count: usize) {
        for number in self.flows.len()..count {
            let trace = self.setup.folder().join(format!("trace-{number}"));
            let input = self.shapes.next(&trace);
            let id = self.setup.schedule_many("described", std::slice::from_ref(&input))[0];
            self.flows.push(ScheduledFlow { id, input, trace });
        }
    }

    /// Schedules so many flows, and lets faults happen meanwhile.
    fn disturb(&mut self, flows: usize) {
        let rounds = scale::count(USUAL_ROUNDS, SOAK_ROUNDS);
        let mut round = 0;
        while round < rounds || scale::is_soak() && !self.is_over() {
            let mut faults = FAULTS;
            self.random.shuffle(&mut faults);
            for (number, fault) in faults.into_iter().enumerate() {
                let share = (round * FAULTS.len() + number + 1) * flows / (rounds * FAULTS.len());
                self.schedule(share.min(flows));
                self.carry_out(fault);
                let next = Instant::now() + Duration::from_millis(self.random.u64(PAUSE_MS));
                while Instant::now() < next {
                    self.go_on();
                    wait::let_time_pass(ROUND);
                }
            }
            round += 1;
        }
    }

    fn carry_out(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(target) => {
                let Some(pid) = self.random.choice(self.victims(target)) else { return };
                processes::signal(pid, Signal::SIGKILL);
            }
            Fault::Restart => {
                let restarts = self.faults.get("Restart").copied().unwrap_or(0);
                let modes = [ShutdownMode::Immediate, ShutdownMode::Fast];
                let mode = modes[restarts % modes.len()];
                self.cluster.stop(mode);
                wait::let_time_pass(Duration::from_millis(self.random.u64(OUTAGE_MS)));
                self.cluster.start();
            }
        }
        *self.faults.entry(format!("{fault:?}")).or_default() += 1;
    }

    /// Returns the pids of processes of this kind: those that run a step now, or all of
    /// them if none does.
    fn victims(&self, target: Target) -> Vec<i32> {
        let sql = "select w.pid from rework.worker w join rework.task t on t.worker = w.id
                    where t.state = 'running' and t.flow is not null";
        let busy: Vec<i32> = self.setup.session().query_values(sql, &[]);
        let runners = || busy.iter().flat_map(|pid| processes::children(*pid));
        let found: Vec<i32> = match target {
            Target::Monitor => Vec::new(),
            Target::Worker => busy.clone(),
            Target::Runner => runners().map(|process| process.pid).collect(),
        };
        if found.is_empty() {
            return self.hosts.iter().flat_map(|host| host.pids(target)).collect();
        }
        found
    }

    /// Starts monitors that have ended, and retries the flows of which a revert failed.
    fn go_on(&mut self) {
        for host in &mut self.hosts {
            host.keep_running(&self.setup);
        }
        let sql = "select rework.retry_flow(id) from rework.flow where phase = 'revert_failed'";
        self.retried += self.setup.session().try_query(sql, &[]).map_or(0, |rows| rows.len());
    }

    fn is_over(&self) -> bool {
        let sql = "select not exists (select from rework.task where finished_at is null)";
        let rows = self.setup.session().try_query(sql, &[]);
        rows.is_ok_and(|rows| rows.first().is_some_and(|row| row.get(0)))
    }

    /// Waits until every flow has ended, or until the time for that is over. Then ends the monitors.
    fn settle(&mut self) {
        let started = Instant::now();
        while !self.is_over() && started.elapsed() < SETTLE_TIMEOUT {
            self.go_on();
            wait::let_time_pass(ROUND);
        }
        for host in &mut self.hosts {
            host.signal_monitor(Signal::SIGTERM);
            host.wait_until_drained();
        }
    }

    /// Returns the violations, and describes what happened.
    fn judge(&self, text: &mut String) -> Vec<String> {
        let session = self.setup.session();
        let mut violations = Vec::new();
        let mut counts = Counts::default();
        let mut phases = BTreeMap::<String, usize>::new();
        for flow in &self.flows {
            let task = self.setup.task(flow.id);
            let ended = judge::read(session, flow.id, read_trace(&flow.trace));
            let is_expected = match ended.phase.as_str() {
                "done" | "reverted" => true,
                // A step has failed that stops its flow, and nothing else.
                "stopped" => shapes::may_stop(&flow.input) && task.reason().starts_with("step "),
                _ => false,
            };
            if !is_expected {
                let (state, reason) = (task.state, task.reason());
                violations.push(format!("flow {}: {} {state}: {reason}", flow.id, ended.phase));
            }
            violations.extend(judge::judge(&ended, &mut counts));
            *phases.entry(ended.phase).or_default() += 1;
        }
        let _ = writeln!(text, "  faults {:?}", self.faults);
        let _ =
            writeln!(text, "  {phases:?}, {} times retried after a failed revert", self.retried);
        let _ = writeln!(text, "  {counts:?}");
        let sql = "select r.outcome from rework.run r join rework.task t on t.id = r.task
                    where t.flow is not null";
        let mut repeated = BTreeMap::<String, usize>::new();
        for outcome in session.query_values::<String>(sql, &[]) {
            *repeated.entry(outcome).or_default() += 1;
        }
        let _ = writeln!(text, "  repeated runs of steps by their ends: {repeated:?}");
        for (name, happened) in [
            ("fault", self.faults.len() == 4),
            ("flow is done", phases.contains_key("done")),
            ("flow is reverted", phases.contains_key("reverted")),
            ("run of a step was repeated", !repeated.is_empty()),
        ] {
            if !happened {
                violations.push(format!("the test was idle: no {name}"));
            }
        }
        if !violations.is_empty() {
            violations.push(self.setup.diagnostics());
        }
        violations
    }
}
