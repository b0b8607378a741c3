//! Limits of time: of an operation, and of the start of its code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rework_core::task::state::State;

use crate::support::Installation;
use crate::support::installation::fixture;

/// Scenario RW-7.
#[test]
fn a_run_that_passes_its_timeout_fails_alone() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "3"]);
    let beside = place.schedule("patient_t", 4);
    let quick = place.schedule_plain("quick_t");
    let slow = place.schedule_plain("slow_t");
    let slow = place.ended(slow);
    assert_eq!((slow.state, slow.reason()), (State::Failed, "timed out after 2s"));
    assert!((2.0..6.0).contains(&slow.seconds()), "{} s", slow.seconds());
    assert_eq!(slow.attempt, 1, "an attempt was used");
    assert_eq!(place.log(slow.id), ["slow"]);
    assert_eq!(place.done(quick).output, 1);
    let beside = place.done(beside);
    assert!(beside.seconds() >= 4.0, "untouched: {} s", beside.seconds());
}

#[test]
fn a_run_that_floods_its_worker_with_messages_still_times_out() {
    flood_times_out(1);
}

/// An operation with `concurrency` above 1 has no marks between runs and is never polled: another path for the same flood.
#[test]
fn a_run_beside_others_that_floods_its_worker_with_messages_still_times_out() {
    flood_times_out(4);
}

fn flood_times_out(concurrency: i32) {
    let place = Installation::with_fixture();
    let sql =
        format!("update rework.operation set concurrency = {concurrency} where name = 'babbles'");
    place.session().run(&sql);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.ended(place.schedule_plain("babbles"));
    assert_eq!((task.state, task.reason()), (State::Failed, "timed out after 500ms"));
    assert_eq!(place.done(place.schedule("double", 1)).worker, task.worker, "the worker lives on");
}

/// Scenario RW-15.
#[test]
fn a_runner_that_never_starts_fails_its_task() {
    let place = Installation::new();
    // The program says `hello` when it is asked what it has, and not when a gate is closed.
    let gate = place.folder().join("closed");
    let program = place.folder().join("operations");
    let script = format!(
        "#!/bin/sh\nif [ -e {} ]; then exec sleep 3600; fi\nexec {}\n",
        gate.display(),
        fixture().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    place.register([&program]);
    fs::write(&gate, "").unwrap();
    let _monitor = place.monitor(&["--maxworkers", "1", "--start-timeout", "1"]);
    let task = place.ended(place.schedule("double", 1));
    assert_eq!(task.state, State::Failed);
    assert!(task.reason().starts_with("the operation cannot be loaded"), "{}", task.reason());
    assert!(task.started_at.is_none(), "its code never began");
    fs::remove_file(&gate).unwrap();
    let next = place.done(place.schedule("double", 1));
    assert_eq!(next.worker, task.worker, "the worker lives on");
    place.until("no runner that hangs is left", || {
        !crate::support::processes::marked(place.host()).iter().any(|p| p.command.contains("sleep"))
    });
}
