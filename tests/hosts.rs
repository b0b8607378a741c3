//! Two hosts with one database. When a host is lost, a monitor of the other host ends its runs. Runs of a live host
//! must not be touched. Further tests are about the distribution of tasks over hosts. The second host is simulated: its
//! monitor runs on the same machine with another host name.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::installation::{Installation, fixture_program};
use crate::support::monitor::Monitor;
use crate::support::session::Session;
use crate::support::{processes, scale, wait};

/// Returns the length of the leases: the default of 20 s in `make soak`, and 4 s in `make test`.
fn lease_time() -> Duration {
    Duration::from_secs(if scale::is_soak() { 20 } else { 4 })
}

/// Returns the longest time until the loss of a host is recorded: 1.25 leases. With short leases, 2 s are added,
/// because a busy machine may delay each step.
fn max_detection_time() -> Duration {
    lease_time() * 5 / 4 + Duration::from_secs(if scale::is_soak() { 0 } else { 2 })
}

/// A monitor on the host of the test, and one on a second host.
pub(crate) struct Hosts {
    pub(crate) setup: Installation,
    first: Monitor,
    pub(crate) second: Monitor,
    /// The name of the second host.
    pub(crate) second_name: String,
    /// The file that ends the tasks of `hold`.
    gate: PathBuf,
}

impl Hosts {
    fn new() -> Hosts {
        let lease = format!("{}s", lease_time().as_secs());
        Hosts::with_leases(&lease, &lease)
    }

    /// Starts both monitors with these lengths of their leases.
    pub(crate) fn with_leases(first_lease: &str, second_lease: &str) -> Hosts {
        let setup = Installation::with_fixture();
        let second_name = format!("{}-b", setup.host());
        setup
            .rework(["register-operations", "--host", &second_name])
            .args([fixture_program()])
            .run_ok();
        let options = |lease| ["--domain", "default", "--lease", lease, "--maxworkers", "2"];
        let first = setup.start_monitor_with_args(&options(first_lease));
        let second = setup.spawn_monitor_on(&second_name, &options(second_lease));
        setup.wait_until("both monitors are registered", || {
            let sql = "select count(*) = 2 from rework.monitor where finished_at is null";
            setup.session().query_value(sql, &[])
        });
        let gate = setup.folder().join("gate");
        Hosts { setup, first, second, second_name, gate }
    }

    /// Schedules a task for the second host that runs until `open_gate`, and waits until it is running.
    pub(crate) fn hold_on_second(&self, operation: &str) -> i64 {
        let input = json!(self.gate).to_string();
        let pin = ["--host", &self.second_name];
        let command = self.setup.rework(["schedule", operation, "--input", &input]).args(pin);
        let task = command.run_ok().id();
        self.setup.wait_until_logged(task, "holding");
        task
    }

    /// Lets the tasks of `hold` end.
    fn open_gate(&self) {
        std::fs::write(&self.gate, "").unwrap();
    }

    /// Returns the pid of the worker that runs a task.
    pub(crate) fn worker_pid(&self, task: i64) -> i32 {
        let sql = "select worker.pid from rework.task
                     join rework.worker on worker.id = task.worker where task.id = $1";
        self.setup.session().query_value(sql, &[&task])
    }

    /// Returns the pids of the child processes of a process.
    fn children(pid: i32) -> Vec<i32> {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        list.unwrap_or_default().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }
}

#[test]
fn runs_of_a_lost_host_are_ended_by_the_other_host() {
    let mut hosts = Hosts::new();
    let lost = hosts.hold_on_second("hold");
    let repeatable = hosts.hold_on_second("hold_retry_lost");
    let workers = [lost, repeatable].map(|task| hosts.worker_pid(task));
    let runners: Vec<i32> = workers.iter().flat_map(|pid| Hosts::children(*pid)).collect();
    let killed = Instant::now();
    for pid in workers.iter().chain([&hosts.second.pid()]) {
        processes::signal(*pid, Signal::SIGKILL);
    }
    hosts.second.wait_for_exit_code();
    let ended = hosts.setup.wait_until_ended_within(lost, max_detection_time());
    // A lease is taken away 1.1 leases after its last renewal, which was at most 1 s before the kill.
    let earliest = (lease_time() * 11 / 10).saturating_sub(Duration::from_secs(1));
    assert!(
        killed.elapsed() >= earliest,
        "before the lease could have ended: {:?}",
        killed.elapsed()
    );
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
    for runner in runners {
        assert!(!processes::is_alive(runner), "runner {runner} outlived its worker");
    }
    hosts.setup.wait_until(
        "the task with retry_lost is queued again and waits for its host",
        || {
            let retried = hosts.setup.task(repeatable);
            (retried.state, retried.run) == (State::Queued, 1)
        },
    );
    hosts.setup.wait_until("the ends of the monitor and of its workers are recorded", || {
        let sql = "select exists (select from rework.monitor
                                   where host = $1 and finished_at is not null and reason = 'host lost')
                      and not exists (select from rework.worker where host = $1 and finished_at is null)";
        hosts.setup.session().query_value(sql, &[&hosts.second_name])
    });
}

#[test]
fn a_lost_run_with_retry_lost_is_repeated_on_another_host() {
    let mut hosts = Hosts::new();
    // Schedules tasks until one of them runs on the second host.
    let task = loop {
        let input = json!(hosts.gate).to_string();
        let task =
            hosts.setup.rework(["schedule", "hold_retry_lost", "--input", &input]).run_ok().id();
        hosts.setup.wait_until_logged(task, "holding");
        let sql = "select ran_on from rework.task where id = $1";
        let ran_on: String = hosts.setup.session().query_value(sql, &[&task]);
        if ran_on == hosts.second_name {
            break task;
        }
    };
    let worker = hosts.worker_pid(task);
    processes::signal(hosts.second.pid(), Signal::SIGKILL);
    processes::signal(worker, Signal::SIGKILL);
    hosts.second.wait_for_exit_code();
    hosts.open_gate();
    let ended = hosts.setup.wait_until_ended_within(task, max_detection_time() + wait::TIMEOUT);
    assert_eq!((ended.state, ended.run, ended.attempt), (State::Done, 2, 1), "{}", ended.reason());
    let sql = "select outcome || ': ' || reason from rework.run where task = $1";
    assert_eq!(hosts.setup.session().query_value::<String>(sql, &[&task]), "lost: host lost");
}

#[test]
fn a_stopped_worker_is_killed_before_its_lease_ends() {
    let hosts = Hosts::new();
    let task = hosts.hold_on_second("hold");
    let worker = hosts.worker_pid(task);
    let runners = Hosts::children(worker);
    assert_eq!(runners.len(), 1);
    processes::signal(worker, Signal::SIGSTOP);
    let stopped = Instant::now();
    // A timer of the kernel kills the worker, because a stopped process cannot renew its lease.
    hosts.setup.wait_until("the worker has ended", || !processes::is_alive(worker));
    let took = stopped.elapsed();
    assert!(took < lease_time(), "other monitors may take its runs before it is killed: {took:?}");
    hosts.open_gate();
    let ended = hosts.setup.wait_until_ended(task);
    assert_eq!((ended.state, ended.reason()), (State::Lost, "worker died: signal 9 (killed)"));
    assert!(!processes::is_alive(runners[0]), "the runner outlived its worker");
    assert_eq!(hosts.setup.log_lines(task), ["holding"], "a later line was stored");
    assert!(stopped.elapsed() < max_detection_time());
}

/// Ends the monitor of the second host by a signal, and asserts that its running tasks continue and can be aborted.
///
/// SIGSTOP ends the monitor too: a timer of the kernel kills a monitor that does not renew its lease.
fn assert_task_outlives_its_monitor(signal: Signal) {
    let mut hosts = Hosts::new();
    let task = hosts.hold_on_second("hold");
    let aborted = hosts.hold_on_second("hold");
    hosts.second.signal(signal);
    assert_eq!(hosts.second.wait_for_exit_code(), None, "the monitor was not ended by a signal");
    let count_own_leases =
        "select count(*) from rework.worker join rework.lease on lease.id = worker.lease
                             where worker.finished_at is null and lease.holder like 'worker %'";
    hosts.setup.wait_until("both workers have leases of their own", || {
        hosts.setup.session().query_value::<i64>(count_own_leases, &[]) == 2
    });
    hosts.setup.wait_until("the monitor's lease was taken away", || {
        let sql = "select count(*) from rework.monitor where reason = 'host lost'";
        hosts.setup.session().query_value::<i64>(sql, &[]) == 1
    });
    hosts.setup.rework(["abort-task", &aborted.to_string()]).run_ok();
    let ended = hosts.setup.wait_until_ended(aborted);
    assert_eq!((ended.state, ended.reason()), (State::Aborted, "aborted from the command line"));
    // Without renewals the lease of the worker would end within this time.
    wait::assert_stays_true("the task is running", lease_time() * 2, || {
        hosts.setup.task(task).state == State::Running
    });
    hosts.open_gate();
    let ended = hosts.setup.wait_until_done(task);
    assert_eq!((ended.run, ended.attempt), (1, 1));
    // At least three leases, which is one minute in `make soak`.
    assert!(
        ended.running_seconds() >= (lease_time() * 3).as_secs_f64(),
        "{}",
        ended.running_seconds()
    );
    assert_eq!(hosts.setup.log_lines(task), ["holding", "released"]);
    assert!(hosts.first.exit_status().is_none());
}

#[test]
fn a_task_outlives_a_monitor_that_is_killed() {
    assert_task_outlives_its_monitor(Signal::SIGKILL);
}

#[test]
fn a_task_outlives_a_monitor_that_is_stopped() {
    assert_task_outlives_its_monitor(Signal::SIGSTOP);
}

#[test]
fn placements_of_a_host_without_monitor_for_a_day_are_deleted() {
    let setup = Installation::with_fixture();
    for host in ["unused", "new", "stopped-lately"] {
        let register = ["register-operations", "--host", host];
        setup.rework(register).args([fixture_program().to_str().unwrap()]).run_ok();
    }
    let monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let mut other = setup.spawn_monitor_on("stopped-lately", &["--domain", "default"]);
    setup.wait_until("both monitors are registered", || {
        setup.session().query_value("select count(*) = 2 from rework.monitor", &[])
    });
    other.signal(Signal::SIGTERM);
    other.wait_for_exit_code();
    setup.session().execute(
        "update rework.placement set registered_at = now() - interval '2 days' where host <> 'new'",
    );
    let dsn = rework_core::db::dsn::Dsn::parse(setup.dsn()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hosts_without_placements = runtime.block_on(async {
        let db = rework_core::db::connect::Db::connect(&dsn, "test").await.unwrap();
        rework_core::admin::vacuum::delete_placements(&db).await.unwrap()
    });
    assert_eq!(hosts_without_placements, ["unused"]);
    drop(monitor);
}

#[test]
fn the_lease_of_the_lost_host_decides_when_it_is_lost() {
    let mut hosts = Hosts::with_leases("20s", "2s");
    let task = hosts.hold_on_second("hold");
    let worker = hosts.worker_pid(task);
    for pid in [worker, hosts.second.pid()] {
        processes::signal(pid, Signal::SIGKILL);
    }
    hosts.second.wait_for_exit_code();
    let ended = hosts.setup.wait_until_ended_within(task, Duration::from_secs(10));
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
}

#[test]
fn a_locked_row_does_not_delay_the_end_of_other_runs() {
    let mut hosts = Hosts::with_leases("2s", "2s");
    let (locked, task) = (hosts.hold_on_second("hold"), hosts.hold_on_second("hold"));
    let session = Session::open(hosts.setup.dsn());
    session.execute(&format!("begin; select from rework.task where id = {locked} for update"));
    for pid in [hosts.worker_pid(locked), hosts.worker_pid(task), hosts.second.pid()] {
        processes::signal(pid, Signal::SIGKILL);
    }
    hosts.second.wait_for_exit_code();
    assert_eq!(hosts.setup.wait_until_ended(task).reason(), "host lost");
    assert_eq!(hosts.setup.task(locked).state, State::Running);
    session.execute("rollback");
    assert_eq!(hosts.setup.wait_until_ended(locked).reason(), "host lost");
}

#[test]
fn tasks_are_distributed_over_the_hosts() {
    let hosts = Hosts::new();
    let inputs = vec![json!(0.2); 12];
    let tasks = hosts.setup.schedule_many("sleep", &inputs);
    for task in tasks {
        assert_eq!(hosts.setup.wait_until_done(task).run, 1);
    }
    let sql = "select count(distinct ran_on) from rework.task";
    assert_eq!(hosts.setup.session().query_value::<i64>(sql, &[]), 2, "one host ran all tasks");
}
