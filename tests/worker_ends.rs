//! Ends of workers while they run a task: a worker is killed, crashes, is stopped by SIGSTOP, or its monitor drains.
//!
//! The tests check the state, the reason and the attempts of the task, and that no process of the run is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use chrono::Utc;
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::containment_modes::ContainmentMode;
use crate::support::installation::fixture_program;
use crate::support::monitored_host::{MAX_END_DELAY, MonitoredHost, StartedRun};
use crate::support::{processes, wait};

#[test]
fn a_worker_that_is_killed_loses_its_task() {
    for mode in ContainmentMode::available() {
        let host = MonitoredHost::on(mode, &[]);
        for operation in ["shell_sleeps_until_killed", "sleeps_until_killed"] {
            let run = host.start_run(operation, Value::Null);
            wait_until_start_is_recorded(&host, &run);
            let event = Utc::now();
            processes::signal(host.worker_pid(run.worker), Signal::SIGKILL);
            let lost = assert_prompt_end(&host, &run, event, State::Lost);
            assert_eq!(lost, ("worker died: signal 9 (killed)".to_owned(), 1, 1), "{mode:?}");
        }
        host.setup.wait_until_done(host.setup.schedule("double", 1));
        host.finish();
    }
}

#[test]
fn a_worker_that_crashes_loses_its_task() {
    let host = MonitoredHost::new(&[]);
    let run = host.start_run("shell_sleeps_until_killed", Value::Null);
    wait_until_start_is_recorded(&host, &run);
    let event = Utc::now();
    processes::crash(host.worker_pid(run.worker));
    let (reason, ..) = assert_prompt_end(&host, &run, event, State::Lost);
    assert!(reason.starts_with("worker died: signal 11 (segmentation fault"), "{reason}");
    host.finish();
}

#[test]
fn a_lost_task_with_retry_lost_is_requeued_three_times() {
    let host = MonitoredHost::new(&[]);
    for operation in ["shell_sleeps_until_killed_retry_lost", "sleeps_until_killed_retry_lost"] {
        let mut run = host.start_run(operation, Value::Null);
        for number in 1..=3_i64 {
            let event = Utc::now();
            processes::signal(host.worker_pid(run.worker), Signal::SIGKILL);
            host.setup.wait_until("the task has another run", || {
                host.setup.task(run.task).run == number + 1
            });
            assert!(!processes::is_alive(run.pid), "the process of the earlier run is alive");
            let sql = "select outcome || ': ' || reason, finished_at from rework.run
                        where task = $1 and run = $2";
            let rows = host.setup.session().query(sql, &[&run.task, &number]);
            assert_eq!(rows[0].get::<_, &str>(0), "lost: worker died: signal 9 (killed)");
            let took = rows[0].get::<_, chrono::DateTime<Utc>>(1) - event;
            assert!(took <= MAX_END_DELAY, "recorded after {took}");
            run = host.wait_until_started(run.task);
            assert_eq!(host.setup.task(run.task).attempt, 1, "the run was counted as an attempt");
        }
        let event = Utc::now();
        processes::signal(host.worker_pid(run.worker), Signal::SIGKILL);
        let lost = assert_prompt_end(&host, &run, event, State::Lost);
        assert_eq!(lost, ("worker died: signal 9 (killed)".to_owned(), 4, 4));
    }
    host.finish();
}

#[test]
fn a_claimed_task_that_did_not_start_is_requeued() {
    let host = MonitoredHost::new(&[]);
    // The script waits while the file `closed` exists. So it can be registered, and later its runner does not start.
    let program = host.setup.folder().join("operations");
    let gate = host.setup.folder().join("closed");
    let script = format!(
        "#!/bin/sh\nwhile [ -e {} ]; do sleep 0.01; done\nexec {}\n",
        gate.display(),
        fixture_program().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    host.setup.register([&program]);
    // The operations were registered again with another program, so its first runner is started for the next task.
    fs::write(&gate, "").unwrap();
    let task = host.setup.schedule("double", 21);
    let claimed = host.setup.wait_until_state(task, State::Running);
    host.setup.wait_until("the runner is starting", || count_waiting_runners(&host, &program) > 0);
    assert!(claimed.started_at.is_none(), "the code started");
    let event = Utc::now();
    processes::signal(host.worker_pid(claimed.worker.unwrap()), Signal::SIGKILL);
    host.setup.wait_until("another worker has claimed the task", || host.setup.task(task).run == 2);
    assert!(count_waiting_runners(&host, &program) <= 1, "the first runner is alive");
    let sql = "select outcome, reason, started_at is null, finished_at from rework.run
                where task = $1 and run = 1";
    let rows = host.setup.session().query(sql, &[&task]);
    assert_eq!(rows[0].get::<_, &str>(0), "not_started");
    assert_eq!(
        rows[0].get::<_, &str>(1),
        "worker died: signal 9 (killed), before the code started"
    );
    assert!(rows[0].get::<_, bool>(2));
    let took = rows[0].get::<_, chrono::DateTime<Utc>>(3) - event;
    assert!(took <= MAX_END_DELAY, "recorded after {took}");
    fs::remove_file(&gate).unwrap();
    let done = host.setup.wait_until_done(task);
    assert_eq!((done.run, done.attempt), (2, 1), "the run was counted as an attempt");
    assert_eq!(done.output, json!(42));
    assert_ne!(done.worker, claimed.worker);
    host.finish();
}

#[test]
fn kill_worker_ends_a_worker_that_is_stopped() {
    let host = MonitoredHost::new(&[]);
    for operation in ["shell_sleeps_until_killed", "sleeps_until_killed"] {
        let run = host.start_run(operation, Value::Null);
        wait_until_start_is_recorded(&host, &run);
        processes::signal(host.worker_pid(run.worker), Signal::SIGSTOP);
        let event = Utc::now();
        host.setup.rework(["kill-worker", &run.worker.to_string()]).run_ok();
        let aborted = assert_prompt_end(&host, &run, event, State::Aborted);
        assert_eq!(aborted, ("aborted by kill-worker".to_owned(), 1, 0));
    }
    host.finish();
}

#[test]
fn kill_worker_aborts_also_a_task_with_retry_lost() {
    let host = MonitoredHost::new(&[]);
    let run = host.start_run("shell_sleeps_until_killed_retry_lost", Value::Null);
    wait_until_start_is_recorded(&host, &run);
    let event = Utc::now();
    host.setup.rework(["kill-worker", &run.worker.to_string()]).run_ok();
    let aborted = assert_prompt_end(&host, &run, event, State::Aborted);
    assert_eq!(aborted, ("aborted by kill-worker".to_owned(), 1, 0));
    host.finish();
}

#[test]
fn after_the_grace_of_a_drain_tasks_are_aborted_or_requeued() {
    for mode in ContainmentMode::available() {
        let mut monitored = mode.start_setup(&["--maxworkers", "4", "--shutdown-grace", "200ms"]);
        let setup = &monitored.setup;
        let run = |operation: &str| {
            let task = setup.schedule_many(operation, &[Value::Null])[0];
            setup.wait_until("the run has started", || !setup.log_lines(task).is_empty());
            task
        };
        let [command, function] = ["shell_sleeps_until_killed", "sleeps_until_killed"].map(run);
        let [command_retry_lost, function_retry_lost] =
            ["shell_sleeps_until_killed_retry_lost", "sleeps_until_killed_retry_lost"].map(run);
        monitored.monitor.signal(Signal::SIGTERM);
        let event = Utc::now();
        assert_eq!(
            monitored.monitor.wait_for_exit_code(),
            Some(0),
            "{}",
            monitored.monitor.output()
        );
        setup.wait_until_no_process_left();
        for task in [command, function] {
            let aborted = setup.task(task);
            let reason = "aborted by the monitor's shutdown";
            assert_eq!((aborted.state, aborted.reason()), (State::Aborted, reason), "{mode:?}");
            assert!((aborted.end_time() - event).as_seconds_f64() <= 1.2, "{aborted:?}");
            assert_eq!(setup.log_lines(task)[1], "half", "the unfinished line is not in the log");
        }
        for task in [command_retry_lost, function_retry_lost] {
            let queued = setup.task(task);
            assert_eq!((queued.state, queued.run), (State::Queued, 1), "{mode:?}");
            assert_eq!(queued.attempt, 0, "the run was counted as an attempt");
            let sql = "select outcome || ': ' || reason from rework.run where task = $1";
            let run: String = setup.session().query_value(sql, &[&task]);
            assert_eq!(run, "drained: aborted by the monitor's shutdown");
        }
    }
}

#[test]
fn monitors_of_different_domains_on_one_host_are_independent() {
    let host = MonitoredHost::new(&[]);
    let mut other =
        host.setup.start_monitor_with_args(&["--domain", "nondefault", "--maxworkers", "1"]);
    let other_task = host.setup.schedule_many("other_domain", &[json!(1)])[0];
    host.setup.wait_until_done(other_task);
    other.kill();
    host.setup.wait_until("the worker of the killed monitor has exited", || {
        let sql = "select count(*) from rework.worker
                    where domain = 'nondefault' and finished_at is null";
        host.setup.session().query_value::<i64>(sql, &[]) == 0
    });
    host.setup.wait_until_done(host.setup.schedule("double", 1));
    let queued = host.setup.schedule_many("other_domain", &[json!(2)])[0];
    wait::assert_stays_true("no monitor serves the other domain", wait::OBSERVATION_TIME, || {
        host.setup.task(queued).state == State::Queued
    });
    let mut next =
        host.setup.start_monitor_with_args(&["--domain", "nondefault", "--maxworkers", "1"]);
    host.setup.wait_until_done(queued);
    next.signal(Signal::SIGTERM);
    assert_eq!(next.wait_for_exit_code(), Some(0));
    host.finish();
}

/// Waits until the task of a run has ended, and returns its reason, the number of its runs, and how often it was lost.
///
/// Asserts that the task is in `state`, that it ended at most `MAX_END_DELAY` after `event`, and that the process of
/// the run has ended. The log is not checked: what was written last was in the memory of the worker and is lost with it.
#[track_caller]
fn assert_prompt_end(
    host: &MonitoredHost,
    run: &StartedRun,
    event: chrono::DateTime<Utc>,
    state: State,
) -> (String, i64, i32) {
    let task = host.setup.wait_until_ended(run.task);
    assert!(
        !processes::is_alive(run.pid),
        "process {} is alive\n{}",
        run.pid,
        host.setup.diagnostics()
    );
    assert_eq!(task.state, state, "{}\n{}", task.reason(), host.setup.diagnostics());
    let took = task.end_time() - event;
    assert!(took <= MAX_END_DELAY, "recorded after {took}\n{}", host.setup.diagnostics());
    let sql = "select losses from rework.task where id = $1";
    let losses: i32 = host.setup.session().query_value(sql, &[&run.task]);
    (task.reason().to_owned(), task.run, losses)
}

/// Waits until the start of a run is recorded in its task. The worker records it 100 ms after the start.
fn wait_until_start_is_recorded(host: &MonitoredHost, run: &StartedRun) {
    host.setup
        .wait_until("the start is recorded", || host.setup.task(run.task).started_at.is_some());
}

/// Returns how many processes of the script `program` wait for their gate.
fn count_waiting_runners(host: &MonitoredHost, program: &std::path::Path) -> usize {
    let name = program.to_string_lossy();
    let processes = processes::tagged(host.setup.host());
    processes.iter().filter(|process| process.command.contains(&*name)).count()
}
