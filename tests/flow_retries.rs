//! Flows that have ended and are retried, and steps whose operation is not registered any more.

use rework_core::task::state::State;
use serde_json::json;

use crate::support::flow::TracedFlow;
use crate::support::installation::{Installation, fixture_program};

fn schedule_lenient(setup: &Installation) -> TracedFlow<'_> {
    let effects = json!({"b": {"fails": 1}});
    setup.schedule_flow("lenient", json!({"on_failure": "stop", "effects": effects}))
}

#[track_caller]
fn assert_refused(setup: &Installation, task: i64, expected: &str) {
    let refused = setup.rework(["retry-task", &task.to_string()]).run_expecting(1);
    assert!(refused.stderr().contains(expected), "no `{expected}` in {refused}");
}

#[test]
fn a_flow_that_stopped_goes_on_from_the_step_that_failed() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = schedule_lenient(&setup);
    flow.wait_until_ended("stopped", State::Failed);
    let first = flow.task_of("b");
    let retried = setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    let expected = format!("flow {}: it goes on from the steps that failed\n", flow.id);
    assert_eq!(retried.stdout(), expected);
    flow.wait_until_done();
    flow.assert_events("exec a, exec b, exec b, exec c");
    assert_ne!(flow.task_of("b"), first, "the step has run twice as one task");
    let sql = "select step || ' ' || state from rework.past where flow = $1 order by id";
    let past: Vec<String> = setup.session().query_values(sql, &[&flow.id]);
    assert_eq!(past, ["b failed"]);
}

#[test]
fn a_flow_that_was_aborted_without_reverts_goes_on() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"waits_for": gate}});
    let flow = setup.schedule_flow("ok3", json!({"effects": effects}));
    flow.wait_for("exec b", 1);
    setup.rework(["abort-task", "--no-revert", "--wait", &flow.id.to_string()]).run_ok();
    std::fs::write(&gate, "").unwrap();
    setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    assert_eq!(flow.wait_until_done(), json!("a"));
    flow.assert_events("exec a, exec b, exec b, exec c");
}

/// The code of `changing` returns another plan at each call.
#[test]
fn a_flow_that_was_undone_makes_a_new_plan() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = setup.schedule_flow("changing", json!({"effects": {"b": {"fails": 1}}}));
    assert_eq!(flow.wait_until_reverted(), "step b: b fails");
    let retried = setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    assert_eq!(retried.stdout(), format!("flow {}: it makes a new plan\n", flow.id));
    flow.wait_until_done();
    flow.assert_events("exec a, exec b, revert b, revert a, exec b, exec d");
    assert_eq!((flow.plans(), flow.states()), (2, vec!["b done".into(), "d done".into()]));
    let task = setup.task(flow.id);
    assert_eq!((task.run, task.reason()), (2, ""));
    setup.rework(["show-task", &flow.id.to_string()]).run_ok();
    setup.rework(["show-task", &flow.id.to_string(), "--events"]).run_ok();
}

#[test]
fn a_flow_whose_code_failed_is_retried_as_any_task() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let task = setup.schedule("faulty", json!("fails"));
    assert_eq!(setup.wait_until_ended(task).reason(), "there is no quota");
    let retried = setup.rework(["retry-task", &task.to_string()]).run_ok();
    assert_eq!(retried.stdout(), format!("{task} queued\n"));
    let again = || setup.task(task).run == 2 && setup.task(task).state == State::Failed;
    setup.wait_until("the code has failed again", again);
}

#[test]
fn what_cannot_be_retried_is_refused_with_a_reason() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"waits_for": gate}});
    let flow = setup.schedule_flow("ok3", json!({"effects": effects}));
    flow.wait_for("exec b", 1);
    let id = flow.id;
    let a = flow.task_of("a");
    assert_refused(&setup, a, &format!("task {a} is step `a` of flow {id}: retry that"));
    assert_refused(&setup, id, &format!("flow {id} is not retried: its phase is `executing`"));
    std::fs::write(&gate, "").unwrap();
    flow.wait_until_done();
    assert_refused(&setup, id, &format!("flow {id} is not retried: its phase is `done`"));

    let flow = setup.schedule_flow("failb", json!({"k": 1, "n": 2, "is_short": true}));
    flow.wait_until_done();
    let sql = "select task from rework.past where flow = $1 and step = 'b'";
    let earlier: i64 = setup.session().query_value(sql, &[&flow.id]);
    let expected = format!("task {earlier} is step `b` of flow {}: retry that", flow.id);
    assert_refused(&setup, earlier, &expected);
    let plain = setup.wait_until_done(setup.schedule("double", 1)).id.to_string();
    let refused = setup.rework(["retry-task", &plain, "--reverted", "b"]).run_expecting(1);
    assert!(refused.stderr().contains(&format!("there is no flow {plain}")), "{refused}");
}

/// Schedules a flow of `a` and `gone`. No monitor runs the domain of `gone`.
fn schedule_with_other_domain(setup: &Installation) -> TracedFlow<'_> {
    let items = json!([
        {"step": {"name": "a", "operation": "traced", "revert": "undo_traced",
                  "inject": {"name": "a"}}},
        {"step": {"name": "gone", "operation": "nondefault/other_domain", "whole": "trace"}}]);
    let flow = json!({"flow": {"pattern": "linear", "name": "f", "items": items}});
    let flow = setup.schedule_flow("described", json!({"description": flow}));
    let is_queued = || flow.states() == ["a done", "gone started"];
    setup.wait_until("the step waits for a worker", is_queued);
    flow
}

#[test]
fn a_step_waits_for_an_operation_that_is_registered_again_but_not_for_ever() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    // A monitor does this once per hour.
    let fail = |age: &str| {
        let sql = "select rework.fail_unregistered($1::text::interval)";
        setup.session().query_value::<i64>(sql, &[&age])
    };
    let unregister = || setup.rework(["unregister-operation", "other_domain", "--yes"]).run_ok();
    let flow = schedule_with_other_domain(&setup);
    unregister();
    assert_eq!(fail("0 s"), 1, "{}", flow.describe());
    let reason = flow.wait_until_reverted();
    let expected = "step gone: operation `other_domain` has been unregistered since 20";
    assert!(reason.starts_with(expected), "{reason}");
    flow.assert_events("exec a, revert a");

    setup.register([fixture_program()]);
    let flow = schedule_with_other_domain(&setup);
    unregister();
    let _other = setup.start_monitor_with_args(&["--domain", "nondefault", "--maxworkers", "1"]);
    assert_eq!(fail("1 hour"), 0, "a deploy would lose flows");
    setup.register([fixture_program()]);
    flow.wait_until_done();
    flow.assert_events("exec a");
}
