//! The timeout of an operation and `--start-timeout`, the limit for the start of a runner.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rework_core::task::state::State;

use crate::support::Installation;
use crate::support::installation::fixture_program;

/// Scenario RW-7.
#[test]
fn a_run_that_exceeds_its_timeout_fails_and_other_runs_continue() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "3"]);
    let other = setup.schedule("sleep_with_timeout", 4);
    let quick = setup.schedule_without_input("fast_with_timeout");
    let slow = setup.schedule_without_input("slow_with_timeout");
    let slow = setup.wait_until_ended(slow);
    assert_eq!((slow.state, slow.reason()), (State::Failed, "timed out after 2s"));
    assert!((2.0..6.0).contains(&slow.running_seconds()), "{} s", slow.running_seconds());
    assert_eq!(slow.attempt, 1, "the run counts as an attempt");
    assert_eq!(setup.log_lines(slow.id), ["slow"]);
    assert_eq!(setup.wait_until_done(quick).output, 1);
    let other = setup.wait_until_done(other);
    // Start and end are recorded by different calls, so their times differ from the real ones by some microseconds.
    assert!(other.running_seconds() > 3.9, "not interrupted: {} s", other.running_seconds());
}

#[test]
fn a_run_that_sends_messages_without_pause_times_out() {
    assert_busy_run_times_out(1);
}

/// The worker reads the messages of a runner in another way if the operation has a `concurrency` above 1: there are no
/// boundaries between runs, and the runner is not polled.
#[test]
fn a_concurrent_run_that_sends_messages_without_pause_times_out() {
    assert_busy_run_times_out(4);
}

/// Asserts that the timeout ends a run that never stops to send messages, and that the worker can run other tasks.
fn assert_busy_run_times_out(concurrency: i32) {
    let setup = Installation::with_fixture();
    let sql = format!(
        "update rework.operation set concurrency = {concurrency} where name = 'sends_progress_past_timeout'"
    );
    setup.session().execute(&sql);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_ended(setup.schedule_without_input("sends_progress_past_timeout"));
    assert_eq!((task.state, task.reason()), (State::Failed, "timed out after 500ms"));
    assert_eq!(
        setup.wait_until_done(setup.schedule("double", 1)).worker,
        task.worker,
        "the worker was not replaced"
    );
}

/// Scenario RW-15.
#[test]
fn a_runner_that_never_starts_fails_its_task() {
    let setup = Installation::new();
    // The program works while it is registered. Later, when the file `closed` exists, it sleeps instead.
    let gate = setup.folder().join("closed");
    let program = setup.folder().join("operations");
    let script = format!(
        "#!/bin/sh\nif [ -e {} ]; then exec sleep 3600; fi\nexec {}\n",
        gate.display(),
        fixture_program().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    setup.register([&program]);
    fs::write(&gate, "").unwrap();
    let _monitor = setup.start_monitor(&["--maxworkers", "1", "--start-timeout", "1"]);
    let task = setup.wait_until_ended(setup.schedule("double", 1));
    assert_eq!(task.state, State::Failed);
    assert!(task.reason().starts_with("the operation cannot be loaded"), "{}", task.reason());
    assert!(task.started_at.is_none(), "the code of the task did not start");
    fs::remove_file(&gate).unwrap();
    let next = setup.wait_until_done(setup.schedule("double", 1));
    assert_eq!(next.worker, task.worker, "the worker was not replaced");
    setup.wait_until("the runner that did not start is killed", || {
        !crate::support::processes::tagged(setup.host()).iter().any(|p| p.command.contains("sleep"))
    });
}
