//! Aborts of queued, delayed and running tasks: the final state, the reason, and the end of all processes.

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::Value;

use crate::support::{Installation, processes};

/// Scenario RW-5 of the original rework in Python.
#[test]
fn an_abort_ends_every_process_of_a_running_task() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("family");
    setup.wait_until_logged(task, "all there");
    setup.wait_until("the operation has saved its output", || !setup.task(task).output.is_null());
    let family = setup.task(task).output;
    let pids: Vec<i32> =
        ["parent", "child", "grandchild"].iter().map(|member| pid(&family[member])).collect();
    assert!(pids.iter().all(|pid| processes::is_alive(*pid)), "{family}");

    setup.rework(["abort-task", &task.to_string()]).run_ok();
    assert!(
        matches!(setup.task(task).state, State::Aborting | State::Aborted),
        "the abort request was not recorded"
    );
    let ended = setup.wait_until_ended(task);
    assert_eq!(ended.state, State::Aborted);
    assert!(
        ended.end_time() > ended.start_time() && ended.start_time() > ended.queued_at,
        "{ended:?}"
    );
    let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
    assert_eq!(left, Vec::<&i32>::new(), "`aborted` was recorded while processes were left");
    assert_eq!(ended.output, family, "the saved output was lost");

    let next = setup.wait_until_done(setup.schedule("double", 1));
    assert_eq!(next.worker, ended.worker, "the worker did not survive the abort");
}

/// Scenario RW-6 of the original rework in Python.
#[test]
fn the_reason_of_an_abort_is_recorded() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let by_command = setup.schedule_without_input("forever");
    setup.wait_until_logged(by_command, "for ever");
    setup.rework(["abort-task", &by_command.to_string()]).run_ok();
    assert_eq!(setup.wait_until_ended(by_command).reason(), "aborted from the command line");
    let by_sql = setup.schedule_without_input("forever");
    setup.wait_until_logged(by_sql, "for ever");
    setup.session().query_value::<String>("select rework.abort($1, 'at noon')", &[&by_sql]);
    assert_eq!(setup.wait_until_ended(by_sql).reason(), "aborted at noon");
    let listed = setup.rework(["list-tasks"]).run_ok().lines();
    assert!(listed[0].ends_with("aborted from the command line"), "{listed:?}");
    assert!(listed[1].ends_with("aborted at noon"), "{listed:?}");
}

/// Scenario RW-30 of the original rework in Python.
#[test]
fn a_queued_task_that_is_aborted_never_runs() {
    let setup = Installation::with_fixture();
    let task = setup.schedule("double", 1);
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    let aborted = setup.task(task);
    assert_eq!((aborted.state, aborted.run), (State::Aborted, 0));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 2));
    let aborted = setup.task(task);
    assert_eq!((aborted.state, aborted.run), (State::Aborted, 0), "the task ran after its abort");
    assert!(setup.log_lines(task).is_empty());
}

#[test]
fn a_delayed_task_can_be_aborted() {
    let setup = Installation::with_fixture();
    let task = setup.rework(["schedule", "noinput", "--delay", "1h"]).run_ok().id();
    assert_eq!(setup.task(task).state, State::Delayed);
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    assert_eq!(setup.task(task).state, State::Aborted);
}

#[test]
fn an_operation_that_waits_for_its_abort_ends_by_itself() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("stops_on_abort");
    setup.wait_until_logged(task, "listening");
    setup.rework(["abort-task", &task.to_string(), "--wait"]).run_ok();
    let task = setup.task(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted from the command line"));
    assert_eq!(task.output, "aborted from the command line", "the operation got another reason");
    assert_eq!(setup.log_lines(task.id), ["listening", "cleaned up"]);
}

#[test]
fn a_task_that_is_done_or_does_not_exist_cannot_be_aborted() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule("double", 1)).id;
    let output = setup.rework(["abort-task", &task.to_string()]).run_expecting(1);
    assert!(output.stderr().contains("done"), "{output}");
    assert_eq!(setup.task(task).state, State::Done);
    let output = setup.rework(["abort-task", "4711"]).run_expecting(1);
    assert!(output.stderr().contains("there is no task 4711"), "{output}");
}

#[test]
fn a_monitor_that_exits_leaves_no_process() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "2", "--shutdown-grace", "0s"]);
    let task = setup.schedule_without_input("family");
    setup.wait_until_logged(task, "all there");
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.wait_for_exit_code(), Some(0));
    setup.wait_until_no_process_left();
}

fn pid(value: &Value) -> i32 {
    i32::try_from(value.as_i64().unwrap()).unwrap()
}
