//! Aborts: of what is queued, of what runs, with its reason, and with every process of it.

use rework_core::task::state::State;
use serde_json::Value;

use crate::support::{Installation, processes};

/// Scenario RW-5.
#[test]
fn an_abort_ends_every_process_of_a_running_task() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule_plain("family");
    place.writes(task, "all there");
    place.until("its output is saved", || !place.task(task).output.is_null());
    let family = place.task(task).output;
    let pids: Vec<i32> =
        ["parent", "child", "grandchild"].iter().map(|who| pid(&family[who])).collect();
    assert!(pids.iter().all(|pid| processes::is_alive(*pid)), "{family}");

    place.rework(["abort-task", &task.to_string()]).ok();
    assert!(matches!(place.task(task).state, State::Aborting | State::Aborted), "at once");
    let ended = place.ended(task);
    assert_eq!(ended.state, State::Aborted);
    assert!(ended.ended() > ended.began() && ended.began() > ended.queued_at, "{ended:?}");
    let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
    assert_eq!(left, Vec::<&i32>::new(), "`aborted` was recorded when nothing was left");
    assert_eq!(ended.output, family, "what it saved is kept");

    let next = place.done(place.schedule("double", 1));
    assert_eq!(next.worker, ended.worker, "the worker lives on");
}

/// Scenario RW-6.
#[test]
fn the_reason_of_an_abort_is_kept() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let usual = place.schedule_plain("forever");
    place.writes(usual, "for ever");
    place.rework(["abort-task", &usual.to_string()]).ok();
    assert_eq!(place.ended(usual).reason(), "aborted from the command line");
    let special = place.schedule_plain("forever");
    place.writes(special, "for ever");
    place.session().one::<String>("select rework.abort($1, 'at noon')", &[&special]);
    assert_eq!(place.ended(special).reason(), "aborted at noon");
    let listed = place.rework(["list-tasks"]).ok().lines();
    assert!(listed[0].ends_with("aborted from the command line"), "{listed:?}");
    assert!(listed[1].ends_with("aborted at noon"), "{listed:?}");
}

/// Scenario RW-30.
#[test]
fn a_queued_task_that_is_aborted_never_runs() {
    let place = Installation::with_fixture();
    let task = place.schedule("double", 1);
    place.rework(["abort-task", &task.to_string()]).ok();
    let aborted = place.task(task);
    assert_eq!((aborted.state, aborted.run), (State::Aborted, 0));
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    place.done(place.schedule("double", 2));
    let still = place.task(task);
    assert_eq!((still.state, still.run), (State::Aborted, 0), "it never ran");
    assert!(place.log(task).is_empty());
}

#[test]
fn a_delayed_task_can_be_aborted() {
    let place = Installation::with_fixture();
    let task = place.rework(["schedule", "noinput", "--delay", "1h"]).ok().id();
    assert_eq!(place.task(task).state, State::Delayed);
    place.rework(["abort-task", &task.to_string()]).ok();
    assert_eq!(place.task(task).state, State::Aborted);
}

#[test]
fn an_operation_that_listens_leaves_by_itself() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule_plain("listens");
    place.writes(task, "listening");
    place.rework(["abort-task", &task.to_string(), "--wait"]).ok();
    let task = place.task(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted from the command line"));
    assert_eq!(task.output, "aborted from the command line", "it was told why");
    assert_eq!(place.log(task.id), ["listening", "tidied up"]);
}

#[test]
fn what_has_ended_cannot_be_aborted() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule("double", 1)).id;
    let said = place.rework(["abort-task", &task.to_string()]).exits(1);
    assert!(said.stderr().contains("done"), "{said}");
    assert_eq!(place.task(task).state, State::Done);
    let said = place.rework(["abort-task", "4711"]).exits(1);
    assert!(said.stderr().contains("there is no task 4711"), "{said}");
}

#[test]
fn a_finished_test_leaves_no_process() {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "2", "--shutdown-grace", "0s"]);
    let task = place.schedule_plain("family");
    place.writes(task, "all there");
    monitor.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(monitor.exit_code(), Some(0));
    place.assert_no_process_left();
}

fn pid(value: &Value) -> i32 {
    i32::try_from(value.as_i64().unwrap()).unwrap()
}
