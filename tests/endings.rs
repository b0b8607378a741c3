//! How a run can end by itself or by its limits: each end with its state and its cause in words, at
//! once, without harm to others, with nothing left, and with all that was written.

use std::fs;

use chrono::{TimeDelta, Utc};
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::monitored_host::Stage;
use crate::support::task::Task;
use crate::support::{Installation, processes};

/// As a command, and as a function.
const STANDING: [&str; 2] = ["c_stands", "stands"];

#[test]
fn a_run_that_exits_with_3() {
    let stage = Stage::new(&[]);
    for operation in ["c_exits_3", "exits_3"] {
        let gate = stage.place.folder().join(operation);
        let input = if operation == "exits_3" { json!(gate) } else { json!({ "gate": gate }) };
        let begun = stage.begin(operation, input);
        let event = Utc::now();
        fs::write(gate, "").unwrap();
        let failed = stage.ended(&begun, event, State::Failed);
        assert_eq!((failed.reason(), failed.attempt), ("exit code 3", 1), "{operation}");
    }
    stage.leave();
}

#[test]
fn a_runner_that_is_killed() {
    let kill = |pid| processes::signal(pid, Signal::SIGKILL);
    a_runner_ends_by(kill, "signal 9 (killed)");
}

#[test]
fn a_runner_that_crashes() {
    a_runner_ends_by(processes::crash, "signal 11 (segmentation fault");
}

fn a_runner_ends_by(end: impl Fn(i32), reason: &str) {
    let stage = Stage::new(&[]);
    for operation in STANDING {
        let begun = stage.begin(operation, Value::Null);
        let event = Utc::now();
        end(begun.pid);
        let failed = stage.ended(&begun, event, State::Failed);
        assert!(failed.reason().starts_with(reason), "{operation}: {}", failed.reason());
        assert_eq!((failed.run, failed.attempt), (1, 1), "an attempt was used");
        let next = stage.place.done(stage.place.schedule("double", 1));
        assert_eq!(next.worker, Some(begun.worker), "its worker lives on");
    }
    stage.leave();
}

#[test]
fn a_run_that_takes_too_long() {
    let stage = Stage::new(&[]);
    for operation in ["c_overstays", "overstays"] {
        let task = stage.place.schedule_many(operation, &[Value::Null])[0];
        let begun = stage.begun(task);
        // It is asked after 500 ms, and killed 200 ms later if it hears nothing.
        let latest = Utc::now() + TimeDelta::milliseconds(700);
        let failed = stage.ended(&begun, latest, State::Failed);
        assert_eq!(failed.reason(), "timed out after 500ms", "{operation}");
        assert!(failed.seconds() >= 0.5, "{operation}: {} s", failed.seconds());
        assert_eq!(failed.attempt, 1, "an attempt was used");
    }
    stage.leave();
}

#[test]
fn input_that_does_not_fit_is_refused_before_the_code_runs() {
    let stage = Stage::new(&[]);
    for (operation, input, words) in [
        ("c_takes_a_number", json!({"number": "x"}), "`number` is \"x\", not an integer"),
        ("c_takes_a_number", json!({"nubmer": 1}), "unknown `nubmer`: did you mean `number`?"),
        ("flood", json!("x"), "it is \"x\", not an integer"),
        ("flood", json!(-1), "-1"),
    ] {
        // Past the command line, which would not have queued it.
        let refused = refused(&stage, operation, input);
        let reason = refused.reason().to_owned();
        assert!(reason.starts_with("the input does not fit: "), "{reason}");
        assert!(reason.contains(words), "{reason}");
        assert!(refused.started_at.is_none(), "its code never began");
        assert!(stage.place.log(refused.id).is_empty());
    }
    stage.leave();
}

#[test]
fn output_that_cannot_be_stored() {
    let stage = Stage::new(&[]);
    for (operation, input, words) in [
        ("c_no_json", Value::Null, "not JSON"),
        ("c_no_utf8", Value::Null, "not UTF-8"),
        ("c_too_deep", Value::Null, "stack depth"),
        ("c_too_large", Value::Null, "more than 100 MiB"),
        ("nameless", Value::Null, "key must be a string"),
        ("gives", json!(101), "101 MiB of at most 100 MiB"),
        ("gives", json!(300), "past the limits"),
    ] {
        let refused = refused(&stage, operation, input);
        let reason = refused.reason().to_owned();
        assert!(reason.starts_with("the output cannot be stored: "), "{operation}: {reason}");
        assert!(reason.contains(words), "{operation}: {reason}");
        assert!(refused.output.is_null() && refused.output_bytes.is_none(), "{operation}");
        if operation.starts_with("c_") {
            assert_eq!(stage.place.log(refused.id).last().map(String::as_str), Some("half"));
        }
        stage.place.done(stage.place.schedule("double", 1));
    }
    stage.leave();
}

#[test]
fn output_up_to_the_limit_is_stored() {
    let stage = Stage::new(&[]);
    let done = stage.place.done(stage.place.schedule("gives", 100));
    assert_eq!(done.output_bytes.map(|bytes| bytes.len()), Some(100 << 20));
    stage.leave();
}

#[test]
fn an_operation_that_cannot_be_loaded() {
    let stage = Stage::new(&[]);
    let [program, manifest] =
        ["operations", "here.toml"].map(|name| stage.place.folder().join(name));
    fs::copy(crate::support::installation::fixture(), &program).unwrap();
    fs::write(&manifest, "[[operation]]\nname = \"here\"\nattempts = 3\nshell = \"true\"\n")
        .unwrap();
    stage.place.register([&program, &manifest]);
    stage.place.done(stage.place.schedule_plain("here"));
    stage.place.done(stage.place.schedule("double", 1));

    let not_loaded = |operation: &str, words: &str| {
        let refused = refused(&stage, operation, Value::Null);
        let reason = refused.reason().to_owned();
        assert!(reason.starts_with("the operation cannot be loaded: "), "{reason}");
        assert!(reason.contains(words), "{reason}");
        assert!(refused.started_at.is_none(), "its code never began");
    };
    fs::write(&manifest, "[[operation]]\nname = \"there\"\nshell = \"true\"\n").unwrap();
    not_loaded("here", "has no operation `here` any more");
    fs::write(&manifest, "[[operation]]\nname = \"here\"\ncommand = [\"./no-such\"]\n").unwrap();
    not_loaded("here", "no-such");
    fs::write(&manifest, "[[operation]]\nname = \"here\nshell = \"true\"\n").unwrap();
    not_loaded("here", "here.toml:2");
    fs::remove_file(&manifest).unwrap();
    not_loaded("here", "No such file");

    fs::remove_file(&program).unwrap();
    not_loaded("noinput", "No such file");
    fs::create_dir(&program).unwrap();
    not_loaded("noinput", "ermission denied");
    fs::remove_dir(&program).unwrap();
    fs::copy("/bin/true", &program).unwrap();
    not_loaded("noinput", "it ended before it was ready: exit code 0");
    fs::remove_file(&program).unwrap();
    fs::write(&program, "some text").unwrap();
    not_loaded("noinput", "ermission denied");

    // Put back, all is well again.
    fs::remove_file(&program).unwrap();
    fs::copy(crate::support::installation::fixture(), &program).unwrap();
    stage.place.done(stage.place.schedule("double", 1));
    stage.leave();
}

/// Schedules what no further attempt can mend, and waits for its end.
#[track_caller]
fn refused(stage: &Stage, operation: &str, input: Value) -> Task {
    let event = Utc::now();
    let task = stage.place.schedule_many(operation, &[input])[0];
    let refused = stage.place.ended(task);
    assert_eq!(refused.state, State::Failed, "{operation}: {}", refused.reason());
    assert_eq!((refused.run, refused.attempt), (1, 1), "{operation} was not tried again");
    let took = refused.ended() - event;
    assert!(took < TimeDelta::seconds(5), "{operation}: {took}");
    refused
}

/// Scenario RW-2.
#[test]
fn an_error_keeps_the_output_that_was_saved() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let boom = place.ended(place.schedule_plain("boom"));
    assert_eq!(boom.state, State::Failed);
    assert_eq!(boom.reason(), "oops");
    assert_eq!(boom.error_message(), "oops");
    assert_eq!(boom.output, json!("partial"), "what was saved before the error");
    assert_eq!(place.log(boom.id), ["before"]);
    let shown = place.rework(["show-task", &boom.id.to_string()]).ok().stdout();
    for fact in ["failed", "oops", "\"partial\"", "before"] {
        assert!(shown.contains(fact), "no `{fact}` in\n{shown}");
    }
}

/// Scenario RW-2.
#[test]
fn an_exit_fails_the_task_and_not_the_worker() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let before = place.done(place.schedule_plain("whoami"));
    for (operation, reason) in [("die", "exit code 3"), ("exit7", "exit code 7")] {
        let task = place.ended(place.schedule_plain(operation));
        assert_eq!((task.state, task.reason()), (State::Failed, reason), "{operation}");
        let after = place.done(place.schedule_plain("whoami"));
        assert_eq!(after.worker, before.worker, "the worker lives on after `{operation}`");
        assert_ne!(after.output, before.output, "the runner of `{operation}` was replaced");
    }
}

#[test]
fn a_panic_is_a_failure_with_its_words() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.ended(place.schedule("panics", "time"));
    assert_eq!(task.state, State::Failed);
    assert!(task.reason().starts_with("panic: about time"), "{}", task.reason());
    assert!(place.log(task.id).iter().any(|line| line.contains("about time")), "also in its log");
}

#[test]
fn an_input_that_does_not_fit_is_refused_before_anything_is_queued() {
    let place = Installation::with_fixture();
    let said = place.rework(["schedule", "sleep", "--input", "\"long\""]).exits(1);
    assert!(said.stderr().starts_with("error: "), "{said}");
    assert_eq!(place.session().one::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn an_input_that_came_by_sql_and_does_not_fit_fails_the_task_without_a_retry() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let [task] = place.schedule_many("third_time", &[json!(null)])[..] else { panic!("one task") };
    assert_eq!(place.done(task).attempt, 3);
    let [task] = place.schedule_many("sleep", &[json!("long")])[..] else { panic!("one task") };
    let task = place.ended(task);
    assert_eq!((task.state, task.attempt), (State::Failed, 1));
    assert!(task.reason().starts_with("the input does not fit"), "{}", task.reason());
}
