//! Ends of runs: exits, signals, timeouts, panics, invalid input, output that cannot be stored, code that cannot load.
//!
//! Each test checks the state and the reason of the task. Most use `MonitoredHost`, which also checks that the end is
//! recorded within a second, that other tasks are not disturbed, and that the log is complete.

use std::fs;

use chrono::{TimeDelta, Utc};
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::command::copy_program;
use crate::support::installation::fixture_program;
use crate::support::monitored_host::MonitoredHost;
use crate::support::task::Task;
use crate::support::{Installation, processes};

/// An operation that sleeps, as a command of a manifest and as a function.
const SLEEPING: [&str; 2] = ["shell_sleeps_until_killed", "sleeps_until_killed"];

#[test]
fn a_run_that_exits_with_code_3_fails() {
    let host = MonitoredHost::new(&[]);
    for operation in ["shell_exits_3", "exits_3"] {
        let gate = host.setup.folder().join(operation);
        let input = if operation == "exits_3" { json!(gate) } else { json!({ "gate": gate }) };
        let run = host.start_run(operation, input);
        let event = Utc::now();
        fs::write(gate, "").unwrap();
        let failed = host.wait_for_prompt_end(&run, event, State::Failed);
        assert_eq!((failed.reason(), failed.attempt), ("exit code 3", 1), "{operation}");
    }
    host.finish();
}

#[test]
fn a_runner_that_is_killed_fails_its_task() {
    let kill = |pid| processes::signal(pid, Signal::SIGKILL);
    assert_dead_runner_fails_its_task(kill, "signal 9 (killed)");
}

#[test]
fn a_runner_that_crashes_fails_its_task() {
    assert_dead_runner_fails_its_task(processes::crash, "signal 11 (segmentation fault");
}

/// Ends the process of a run with `end`, and asserts that the task fails with `reason` and that its worker survives.
fn assert_dead_runner_fails_its_task(end: impl Fn(i32), reason: &str) {
    let host = MonitoredHost::new(&[]);
    for operation in SLEEPING {
        let run = host.start_run(operation, Value::Null);
        let event = Utc::now();
        end(run.pid);
        let failed = host.wait_for_prompt_end(&run, event, State::Failed);
        assert!(failed.reason().starts_with(reason), "{operation}: {}", failed.reason());
        assert_eq!((failed.run, failed.attempt), (1, 1), "the run was not counted as an attempt");
        let next = host.setup.wait_until_done(host.setup.schedule("double", 1));
        assert_eq!(next.worker, Some(run.worker), "the worker did not survive");
    }
    host.finish();
}

#[test]
fn a_run_that_exceeds_its_timeout_fails() {
    let host = MonitoredHost::new(&[]);
    for operation in ["shell_exceeds_timeout", "exceeds_timeout"] {
        let task = host.setup.schedule_many(operation, &[Value::Null])[0];
        let run = host.wait_until_started(task);
        // The timeout is 500 ms. Then the run should stop, and after a grace of 200 ms it is killed.
        let latest = Utc::now() + TimeDelta::milliseconds(700);
        let failed = host.wait_for_prompt_end(&run, latest, State::Failed);
        assert_eq!(failed.reason(), "timed out after 500ms", "{operation}");
        assert!(failed.running_seconds() >= 0.5, "{operation}: {} s", failed.running_seconds());
        assert_eq!(failed.attempt, 1, "the run was not counted as an attempt");
    }
    host.finish();
}

#[test]
fn invalid_input_is_refused_before_the_code_starts() {
    let host = MonitoredHost::new(&[]);
    for (operation, input, problem) in [
        ("shell_takes_number", json!({"number": "x"}), "`number` is \"x\", not an integer"),
        ("shell_takes_number", json!({"nubmer": 1}), "unknown `nubmer`: did you mean `number`?"),
        ("flood", json!("x"), "it is \"x\", not an integer"),
        ("flood", json!(-1), "-1"),
    ] {
        // Scheduled with SQL, because the command `schedule` would have refused this input.
        let refused = wait_until_refused(&host, operation, input);
        let reason = refused.reason().to_owned();
        assert!(reason.starts_with("invalid input: "), "{reason}");
        assert!(reason.contains(problem), "{reason}");
        assert!(refused.started_at.is_none(), "the code started");
        assert!(host.setup.log_lines(refused.id).is_empty());
    }
    host.finish();
}

#[test]
fn output_that_cannot_be_stored_fails_the_task() {
    let host = MonitoredHost::new(&[]);
    for (operation, input, problem) in [
        ("shell_writes_invalid_json", Value::Null, "not JSON"),
        ("shell_writes_invalid_utf8", Value::Null, "not UTF-8"),
        ("shell_writes_deep_json", Value::Null, "stack depth"),
        ("shell_writes_2_gib", Value::Null, "more than 100 MiB"),
        ("returns_tuple_keys", Value::Null, "key must be a string"),
        ("returns_mebibytes", json!(101), "101 MiB of at most 100 MiB"),
        ("returns_mebibytes", json!(300), "exceeds the limits"),
    ] {
        let refused = wait_until_refused(&host, operation, input);
        let reason = refused.reason().to_owned();
        assert!(reason.starts_with("the output cannot be stored: "), "{operation}: {reason}");
        assert!(reason.contains(problem), "{operation}: {reason}");
        assert!(refused.output.is_null() && refused.output_bytes.is_none(), "{operation}");
        if operation.starts_with("shell_") {
            assert_eq!(host.setup.log_lines(refused.id).last().map(String::as_str), Some("half"));
        }
        host.setup.wait_until_done(host.setup.schedule("double", 1));
    }
    host.finish();
}

#[test]
fn output_up_to_the_limit_is_stored() {
    let host = MonitoredHost::new(&[]);
    let done = host.setup.wait_until_done(host.setup.schedule("returns_mebibytes", 100));
    assert_eq!(done.output_bytes.map(|bytes| bytes.len()), Some(100 << 20));
    host.finish();
}

#[test]
fn an_operation_that_cannot_be_loaded_fails_the_task() {
    let host = MonitoredHost::new(&[]);
    let [program, manifest] =
        ["operations", "here.toml"].map(|name| host.setup.folder().join(name));
    copy_program(fixture_program(), &program);
    fs::write(&manifest, "[[operation]]\nname = \"here\"\nattempts = 3\nshell = \"true\"\n")
        .unwrap();
    host.setup.register([&program, &manifest]);
    host.setup.wait_until_done(host.setup.schedule_without_input("here"));
    host.setup.wait_until_done(host.setup.schedule("double", 1));

    let assert_not_loaded = |operation: &str, problem: &str| {
        let refused = wait_until_refused(&host, operation, Value::Null);
        let reason = refused.reason().to_owned();
        assert!(reason.starts_with("the operation cannot be loaded: "), "{reason}");
        assert!(reason.contains(problem), "{reason}");
        assert!(refused.started_at.is_none(), "the code started");
    };
    fs::write(&manifest, "[[operation]]\nname = \"there\"\nshell = \"true\"\n").unwrap();
    assert_not_loaded("here", "has no operation `here` any more");
    fs::write(&manifest, "[[operation]]\nname = \"here\nshell = \"true\"\n").unwrap();
    assert_not_loaded("here", "here.toml:2");

    fs::remove_file(&program).unwrap();
    fs::create_dir(&program).unwrap();
    assert_not_loaded("noinput", "ermission denied");
    fs::remove_dir(&program).unwrap();
    copy_program("/bin/true", &program);
    assert_not_loaded("noinput", "it ended before it was ready: exit code 0");
    fs::remove_file(&program).unwrap();
    fs::write(&program, "some text").unwrap();
    assert_not_loaded("noinput", "ermission denied");

    // After the program is restored, tasks run again.
    fs::remove_file(&program).unwrap();
    copy_program(fixture_program(), &program);
    host.setup.wait_until_done(host.setup.schedule("double", 1));
    host.finish();
}

/// Schedules a task that fails in every attempt, and returns its row when it has ended.
///
/// Asserts that the task failed and that it was not retried.
#[track_caller]
fn wait_until_refused(host: &MonitoredHost, operation: &str, input: Value) -> Task {
    let task = host.setup.schedule_many(operation, &[input])[0];
    let refused = host.setup.wait_until_ended(task);
    assert_eq!(refused.state, State::Failed, "{operation}: {}", refused.reason());
    assert_eq!((refused.run, refused.attempt), (1, 1), "{operation} was retried");
    refused
}

/// Scenario RW-2 of the original rework in Python.
#[test]
fn an_error_keeps_the_output_that_was_saved() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let boom = setup.wait_until_ended(setup.schedule_without_input("boom"));
    assert_eq!(boom.state, State::Failed);
    assert_eq!(boom.reason(), "oops");
    assert_eq!(boom.error_message(), "oops");
    assert_eq!(
        boom.output,
        json!("partial"),
        "the output that was saved before the error is missing"
    );
    assert_eq!(setup.log_lines(boom.id), ["before"]);
    let shown = setup.rework(["show-task", &boom.id.to_string()]).run_ok().stdout();
    for fact in ["failed", "oops", "\"partial\"", "before"] {
        assert!(shown.contains(fact), "no `{fact}` in\n{shown}");
    }
}

/// Scenario RW-2 of the original rework in Python.
#[test]
fn an_exit_of_the_runner_fails_the_task_and_not_the_worker() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let before = setup.wait_until_done(setup.schedule_without_input("runner_pid"));
    for (operation, reason) in [("die", "exit code 3"), ("exit7", "exit code 7")] {
        let task = setup.wait_until_ended(setup.schedule_without_input(operation));
        assert_eq!((task.state, task.reason()), (State::Failed, reason), "{operation}");
        let after = setup.wait_until_done(setup.schedule_without_input("runner_pid"));
        assert_eq!(after.worker, before.worker, "the worker did not survive `{operation}`");
        assert_ne!(after.output, before.output, "the runner of `{operation}` was not replaced");
    }
}

#[test]
fn a_panic_fails_the_task_with_its_message() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_ended(setup.schedule("panics", "time"));
    assert_eq!(task.state, State::Failed);
    assert!(task.reason().starts_with("panic: about time"), "{}", task.reason());
    assert!(
        setup.log_lines(task.id).iter().any(|line| line.contains("about time")),
        "the message is not in the log"
    );
}

#[test]
fn the_schedule_command_queues_nothing_if_the_input_is_invalid() {
    let setup = Installation::with_fixture();
    let output = setup.rework(["schedule", "sleep", "--input", "\"long\""]).run_expecting(1);
    assert!(output.stderr().starts_with("error: "), "{output}");
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn invalid_input_from_sql_fails_the_task_without_a_retry() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let [task] = setup.schedule_many("succeeds_third_time", &[json!(null)])[..] else {
        panic!("one task")
    };
    assert_eq!(setup.wait_until_done(task).attempt, 3);
    let [task] = setup.schedule_many("sleep", &[json!("long")])[..] else { panic!("one task") };
    let task = setup.wait_until_ended(task);
    assert_eq!((task.state, task.attempt), (State::Failed, 1));
    assert!(task.reason().starts_with("invalid input"), "{}", task.reason());
}
