//! Network faults between `rework` and Postgres: lost replies, resets, delays and a network that loses all packets.
//! Each test reaches the server through `support/proxy.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::Installation;
use crate::support::monitor::Monitor;
use crate::support::proxy::{Proxy, ProxyMode};
use crate::support::{processes, scale, server, wait};

/// Makes an installation whose commands and monitors reach the database through a proxy.
fn with_proxy() -> (Installation, Proxy) {
    let mut setup = Installation::with_fixture();
    let proxy = Proxy::to_port(server::port());
    let dsn = proxy.dsn(setup.dsn());
    setup.use_dsn(&dsn);
    (setup, proxy)
}

/// Returns how often each task has run. `path` is the file to which operation `appends_number` appends the number of
/// its task.
fn runs_by_number(path: &Path) -> BTreeMap<usize, usize> {
    let mut runs = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        *runs.entry(line.parse().unwrap()).or_default() += 1;
    }
    runs
}

/// Runs tasks while replies to statements that contain `statement` are lost. Asserts that each task runs exactly once.
fn assert_lost_replies_do_no_harm(statement: &'static str) {
    let (setup, proxy) = with_proxy();
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let number_file = setup.folder().join("numbers");
    let count = scale::count(15, 200);
    proxy.set_mode(ProxyMode::LoseReplies(statement, count));
    let mut tasks = Vec::new();
    // Each round has several statements whose reply may be lost, so more rounds than this mean that none is lost.
    for _ in 0..10 * count {
        let inputs: Vec<Value> =
            (0..5).map(|n| json!({"path": number_file, "number": tasks.len() + n})).collect();
        let scheduled = setup.schedule_many("appends_number", &inputs);
        for task in &scheduled {
            setup.wait_until_done(*task);
        }
        tasks.extend(scheduled);
        if proxy.replies_to_lose() == 0 {
            break;
        }
    }
    assert_eq!(proxy.replies_to_lose(), 0, "all replies that should be lost were lost");
    for task in &tasks {
        let ended = setup.wait_until_done(*task);
        assert_eq!((ended.run, ended.attempt), (1, 1), "task {task}");
    }
    let ran = runs_by_number(&number_file);
    assert_eq!(ran.len(), tasks.len());
    assert!(ran.values().all(|runs| *runs == 1), "each ran once: {ran:?}");
    let runs: i64 = setup.session().query_value("select count(*) from rework.run", &[]);
    assert_eq!(runs, 0, "no run was lost or requeued");
}

#[test]
fn lost_replies_to_claims_do_no_harm() {
    assert_lost_replies_do_no_harm("rework.claim(");
}

#[test]
fn lost_replies_to_completions_do_no_harm() {
    assert_lost_replies_do_no_harm("rework.complete(");
}

#[test]
fn schedule_can_be_repeated_with_the_same_key_after_a_lost_reply() {
    let (setup, proxy) = with_proxy();
    let count = scale::count(10, 200);
    proxy.set_mode(ProxyMode::LoseReplies("rework.schedule_once(", count));
    let mut scheduled = 0;
    while proxy.replies_to_lose() > 0 {
        scheduled += 1;
        let key = format!("key {scheduled}");
        let schedule =
            || setup.rework(["schedule", "double", "--input", "1", "--unique-key", &key]).run();
        let first = schedule();
        let second = schedule();
        let output = if first.code() == Some(0) { first } else { second };
        assert_eq!(output.code(), Some(0), "one of the two commands succeeds: {output}");
    }
    let tasks: i64 = setup.session().query_value("select count(*) from rework.task", &[]);
    assert_eq!(tasks, scheduled, "one task for each key");
}

#[test]
fn connection_resets_and_delays_only_delay_tasks() {
    let (setup, proxy) = with_proxy();
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let number_file = setup.folder().join("numbers");
    let mut number = 0;
    for mode in [
        ProxyMode::Reset,
        ProxyMode::Delay(Duration::from_millis(20)),
        ProxyMode::CutAfter(700),
        ProxyMode::CutAfter(3_000),
        ProxyMode::Reset,
    ] {
        let inputs: Vec<Value> =
            (0..20).map(|n| json!({"path": number_file, "number": number + n})).collect();
        number += 20;
        let tasks = setup.schedule_many("appends_number", &inputs);
        proxy.set_mode(mode);
        // Long enough for each process to use its connection in this mode.
        wait::let_time_pass(wait::OBSERVATION_TIME);
        proxy.set_mode(ProxyMode::Pass);
        let repaired = Instant::now();
        for task in tasks {
            assert_eq!(setup.wait_until_done(task).attempt, 1);
        }
        assert!(repaired.elapsed() < Duration::from_secs(12), "{:?}", repaired.elapsed());
    }
    let ran = runs_by_number(&number_file);
    assert_eq!(ran.len(), number);
    assert!(ran.values().all(|runs| *runs == 1), "each ran once: {ran:?}");
}

#[test]
fn a_monitor_without_network_kills_its_runs_before_its_lease_expires_and_reconnects() {
    let setup = Installation::with_fixture();
    let proxy = Proxy::to_port(server::port());
    let lease = Duration::from_secs(if scale::is_soak() { 20 } else { 4 });
    let lease_option = format!("{}s", lease.as_secs());
    let options = ["--domain", "default", "--maxworkers", "1", "--lease", &lease_option];
    let remote_host = format!("{}-b", setup.host());
    setup
        .rework(["register-operations", "--host", &remote_host])
        .args([crate::support::installation::fixture_program().to_str().unwrap()])
        .run_ok();
    let mut process = setup.bare_command();
    process.env("REWORK_DSN", proxy.dsn(setup.dsn())).args(["monitor", "--host", &remote_host]);
    process.args(options);
    let mut remote = Monitor::start(process, &setup.folder().join("remote.stderr"));
    let _local = setup.start_monitor_with_args(&options);
    let gate = setup.folder().join("gate");
    let input = json!(gate).to_string();
    let task =
        setup.rework(["schedule", "hold", "--host", &remote_host, "--input", &input]).run_ok().id();
    setup.wait_until_logged(task, "holding");
    let worker_pid: i32 = setup.session().query_value(
        "select worker.pid from rework.task join rework.worker on worker.id = task.worker",
        &[],
    );
    proxy.set_mode(ProxyMode::BlackHole);
    let disconnected = Instant::now();
    setup.wait_until("the worker has ended", || !processes::is_alive(worker_pid));
    // When the lease has expired, another monitor records the run as lost. The run must have ended by then.
    assert!(
        disconnected.elapsed() < lease,
        "the worker ended too late: {:?}",
        disconnected.elapsed()
    );
    let ended = setup.wait_until_ended_within(task, lease * 5 / 4 + Duration::from_secs(3));
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
    wait::assert_stays_true("the monitor waits for the network", lease * 2, || {
        remote.exit_status().is_none()
    });
    proxy.set_mode(ProxyMode::Pass);
    std::fs::write(&gate, "").unwrap();
    let next =
        setup.rework(["schedule", "double", "--host", &remote_host, "--input", "2"]).run_ok().id();
    setup.wait_until_done(next);
    assert!(
        remote.exit_status().is_none(),
        "the same monitor process works again:\n{}",
        remote.output()
    );
    assert_eq!(setup.task(task).state, State::Lost, "the result of the lost run is ignored");
}

#[test]
fn a_stopped_postgres_backend_delays_tasks_no_longer_than_the_deadline() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
    let backend_pid = |application: &str| -> i32 {
        let sql = "select pid from pg_stat_activity where datname = current_database()
                      and application_name ~ $1";
        setup.session().query_value(sql, &[&application])
    };
    for application in ["^rework worker \\d+$", "^rework monitor \\d+$"] {
        let stopped = backend_pid(application);
        processes::signal(stopped, Signal::SIGSTOP);
        let started = Instant::now();
        let task = setup.schedule("double", 2);
        setup.wait_until_done(task);
        let delay = started.elapsed();
        processes::signal(stopped, Signal::SIGCONT);
        assert!(delay < Duration::from_secs(13), "{application}: {delay:?}");
        // The continued backend executes its statement late. This must not disturb later tasks.
        for _ in 0..3 {
            setup.wait_until_done(setup.schedule("double", 3));
        }
    }
    let runs: i64 = setup.session().query_value("select max(run) from rework.task", &[]);
    assert_eq!(runs, 1, "no task ran a second time");
}

/// A monitor that reaches the database through a proxy, and one running task. The test itself connects directly.
struct ProxiedMonitor {
    setup: Installation,
    monitor: Monitor,
    worker_pid: i32,
    task: i64,
}

impl ProxiedMonitor {
    fn new(proxy: &Proxy) -> ProxiedMonitor {
        let setup = Installation::with_fixture();
        let mut process = setup.bare_command();
        process.env("REWORK_DSN", proxy.dsn(setup.dsn()));
        process.args(["monitor", "--domain", "default", "--maxworkers", "1", "--lease", "2s"]);
        let monitor = Monitor::start(process, &setup.folder().join("proxied.stderr"));
        let task = setup.schedule("hold", json!(setup.folder().join("gate")));
        setup.wait_until_logged(task, "holding");
        let worker_pid: i32 = setup.session().query_value(
            "select worker.pid from rework.task join rework.worker on worker.id = task.worker",
            &[],
        );
        ProxiedMonitor { setup, monitor, worker_pid, task }
    }
}

#[test]
fn a_monitor_exits_on_sigterm_while_the_database_does_not_answer() {
    let proxy = Proxy::to_port(server::port());
    let mut proxied = ProxiedMonitor::new(&proxy);
    proxy.set_mode(ProxyMode::BlackHole);
    proxied.setup.wait_until("the worker has ended", || !processes::is_alive(proxied.worker_pid));
    proxied.monitor.signal(Signal::SIGTERM);
    assert_eq!(proxied.monitor.wait_for_exit_code(), Some(0), "{}", proxied.monitor.output());
}

#[test]
fn a_worker_ends_when_connections_are_refused_by_something_other_than_the_server() {
    let proxy = Proxy::to_port(server::port());
    let proxied = ProxiedMonitor::new(&proxy);
    // Now nobody listens on the proxy's port, as if a pooler had been stopped.
    proxy.set_mode(ProxyMode::Refuse);
    let refused = Instant::now();
    proxied.setup.wait_until("the worker has ended", || !processes::is_alive(proxied.worker_pid));
    assert!(
        refused.elapsed() < Duration::from_secs(2),
        "before the lease expires: {:?}",
        refused.elapsed()
    );
    assert_eq!(
        proxied.setup.task(proxied.task).state,
        State::Running,
        "no other monitor recorded it as lost"
    );
}
