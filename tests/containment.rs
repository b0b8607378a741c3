//! Containment: an abort ends all processes of a task, also those that try to escape.
//!
//! The tests run in every containment mode that this machine has. The state `aborted` must be recorded at most one
//! second after the grace, and only when no process of the task is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::Value;

use crate::support::containment_modes::{ContainmentMode, MonitoredSetup, runners};
use crate::support::scale::count;
use crate::support::{Installation, installation, processes, wait};

/// The longest permitted time from the end of the grace until `aborted` is recorded, for 99 of 100 aborts.
const MAX_ABORT_DELAY: Duration = Duration::from_secs(1);

/// An operation that is to be aborted.
struct Victim {
    operation: &'static str,
    /// The line that the operation logs when all its processes have started.
    ready: &'static str,
    /// How many pids the operation logs.
    pids: usize,
    /// How long the abort waits before it kills the processes. Zero if they end by themselves.
    grace: Duration,
}

const VICTIMS: [Victim; 6] = [
    Victim::new("ends_on_sigterm", "ready", 1, 0),
    Victim::new("ignores_sigterm", "ready", 1, 200),
    Victim::new("scatters_processes", "ready", 6, 200),
    Victim::new("stops_on_abort", "listening", 0, 0),
    // This operation never checks whether it is aborted, so it gets no grace.
    Victim::new("forever", "for ever", 0, 0),
    Victim::new("ignores_abort", "half", 1, 200),
];

impl Victim {
    /// `grace` is in milliseconds.
    const fn new(operation: &'static str, ready: &'static str, pids: usize, grace: u64) -> Victim {
        Victim { operation, ready, pids, grace: Duration::from_millis(grace) }
    }
}

#[test]
fn aborts_end_all_processes_in_a_cgroup() {
    assert_prompt_aborts(ContainmentMode::Cgroup);
}

#[test]
fn aborts_end_all_processes_found_in_proc() {
    assert_prompt_aborts(ContainmentMode::Processes);
}

#[test]
fn aborts_end_all_processes_without_root() {
    assert_prompt_aborts(ContainmentMode::AsNobody);
}

/// Aborts tasks of all `VICTIMS` and asserts that 99 of 100 aborts take at most `MAX_ABORT_DELAY` beyond the grace.
fn assert_prompt_aborts(mode: ContainmentMode) {
    if !ContainmentMode::available().contains(&mode) {
        eprintln!("skipped: {mode:?} is not available on this machine or for this user");
        return;
    }
    let MonitoredSetup { mut monitor, setup } =
        mode.start_setup(&["--maxworkers", "1", "--shutdown-grace", "0s"]);
    let times = count(24, 204);
    let mut delays: Vec<Duration> =
        VICTIMS.iter().cycle().take(times).map(|victim| abort(&setup, victim)).collect();
    delays.sort();
    let percentile = |percent: usize| delays[(delays.len() * percent).div_ceil(100) - 1];
    let figures =
        format!("{mode:?}: {times} aborts, p50 {:.0?}, p99 {:.0?}", percentile(50), percentile(99));
    eprintln!("{figures}, maximum {:.0?}", percentile(100));
    assert!(percentile(99) <= MAX_ABORT_DELAY, "{figures}");

    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.wait_for_exit_code(), Some(0));
    setup.wait_until_no_process_left();
}

/// Runs and aborts a task. Returns the time from the request until the task had ended, without the grace.
///
/// Asserts that no process of the task is left when `aborted` is recorded.
fn abort(setup: &Installation, victim: &Victim) -> Duration {
    let task = setup.schedule_many(victim.operation, &[Value::Null])[0];
    let pids = wait_until_ready(setup, task, victim);
    let requested = Instant::now();
    setup.session().query_value::<String>("select rework.abort($1, 'in a test')", &[&task]);
    let ended = setup.wait_until_ended(task);
    let took = requested.elapsed();
    // Checked at once, without waiting: a process that ends only now was alive when `aborted` was recorded.
    let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
    assert!(left.is_empty(), "{}: {left:?} are alive\n{}", victim.operation, setup.diagnostics());
    assert!(runners(setup).is_empty(), "{}", setup.diagnostics());
    assert_eq!((ended.state, ended.reason()), (State::Aborted, "aborted in a test"));
    assert_eq!((ended.run, ended.attempt), (1, 1));
    took.saturating_sub(victim.grace)
}

/// Waits until all processes of a task have started, and returns the pids that the task logged.
fn wait_until_ready(setup: &Installation, task: i64, victim: &Victim) -> Vec<i32> {
    let mut pids = Vec::new();
    setup.wait_until(
        &format!("task {task}, {}, has started all its processes", victim.operation),
        || {
            let log = setup.log_lines(task);
            pids = log.iter().filter_map(|line| line.strip_prefix("pid ")?.parse().ok()).collect();
            let ready = log.iter().any(|line| line == victim.ready);
            // `half` is a line without a newline, which is not in the log while the task runs. Then the pid is enough.
            (ready || victim.ready == "half") && pids.len() == victim.pids
        },
    );
    let dead: Vec<_> = pids.iter().filter(|pid| !processes::is_alive(**pid)).collect();
    assert!(dead.is_empty(), "{}: {dead:?} ended before the abort", victim.operation);
    pids
}

#[test]
fn an_abort_while_the_runner_starts_ends_it() {
    let setup = Installation::new();
    // The script waits while the file `closed` exists. So it can be registered, and later its runner does not start.
    let [program, gate] = ["operations", "closed"].map(|name| setup.folder().join(name));
    let wait = format!("while [ -e {} ]; do sleep 0.01; done", gate.display());
    let script = format!("#!/bin/sh\n{wait}\nexec {}\n", installation::fixture_program().display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    setup.register([&program]);
    fs::write(&gate, "").unwrap();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule("double", 1);
    setup.wait_until("the runner is starting", || !runners(&setup).is_empty());
    let requested = Instant::now();
    setup.rework(["abort-task", &task.to_string(), "--wait"]).run_ok();
    assert!(requested.elapsed() <= MAX_ABORT_DELAY, "{:?}", requested.elapsed());
    let aborted = setup.task(task);
    assert_eq!((aborted.state, aborted.run), (State::Aborted, 1));
    assert!(aborted.started_at.is_none(), "the code started");
    assert!(runners(&setup).is_empty(), "{}", setup.diagnostics());
    fs::remove_file(&gate).unwrap();
    setup.wait_until_done(setup.schedule("double", 1));
}

#[test]
fn processes_that_a_task_leaves_are_killed_before_its_end() {
    for mode in ContainmentMode::available() {
        let MonitoredSetup { monitor: _monitor, setup } = mode.start_setup(&["--maxworkers", "1"]);
        let task =
            setup.wait_until_done(setup.schedule_many("leaves_processes", &[Value::Null])[0]);
        let pids: Vec<i32> = setup
            .log_lines(task.id)
            .iter()
            .filter_map(|line| line.strip_prefix("pid ")?.parse().ok())
            .collect();
        assert_eq!(pids.len(), 3, "{mode:?}: {:?}", setup.log_lines(task.id));
        let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
        assert!(left.is_empty(), "{mode:?}: {left:?} are alive\n{}", setup.diagnostics());
    }
}

#[test]
fn list_monitors_shows_the_containment_mode() {
    for mode in ContainmentMode::available() {
        let MonitoredSetup { monitor: _monitor, setup } = mode.start_setup(&["--maxworkers", "1"]);
        let monitors = setup.rework(["list-monitors", "-o", "json"]).run_ok().json();
        let shown = monitors[0]["containment"].as_str().unwrap();
        match mode {
            ContainmentMode::Cgroup => assert_eq!(shown, "cgroup"),
            ContainmentMode::Processes => assert_eq!(shown, "processes"),
            // An administrator may have delegated a cgroup to the user. Then the monitor uses it.
            ContainmentMode::AsNobody => {
                assert!(matches!(shown, "cgroup" | "processes"), "{shown}");
            }
        }
    }
}

#[test]
fn the_next_monitor_kills_processes_of_a_dead_worker() {
    for mode in ContainmentMode::available() {
        let MonitoredSetup { mut monitor, setup } = mode.start_setup(&["--maxworkers", "1"]);
        // Without a cgroup the next monitor finds processes only by the process tag, so all of them must have it.
        let (operation, pids) = match mode {
            ContainmentMode::Cgroup => ("scatters_processes", 6),
            ContainmentMode::Processes | ContainmentMode::AsNobody => {
                ("scatters_tagged_processes", 3)
            }
        };
        let victim = Victim::new(operation, "ready", pids, 0);
        let task = setup.schedule_many(operation, &[Value::Null])[0];
        let pids = wait_until_ready(&setup, task, &victim);
        let worker: i32 = setup.session().query_value("select pid from rework.worker", &[]);
        monitor.signal(Signal::SIGSTOP);
        processes::signal(worker, Signal::SIGKILL);
        monitor.kill();
        let left = pids.iter().filter(|pid| processes::is_alive(**pid)).count();
        assert!(left >= 2, "{mode:?}: only {left} processes outlived the monitor and the worker");
        assert_eq!(setup.task(task).state, State::Running, "the end is recorded already");

        let _next = mode.start_monitor(&setup, &["--maxworkers", "1"]);
        let started = Instant::now();
        let lost = setup.wait_until_ended(task);
        assert!(started.elapsed() <= wait::OBSERVATION_TIME, "{mode:?}: {:?}", started.elapsed());
        let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
        assert!(left.is_empty(), "{mode:?}: {left:?} are alive\n{}", setup.diagnostics());
        assert_eq!(lost.state, State::Lost, "{}", lost.reason());
        assert_eq!(lost.reason(), "worker died: exit unknown");
        setup.wait_until_done(setup.schedule("double", 1));
    }
}
