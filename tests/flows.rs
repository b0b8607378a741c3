//! Flows: their steps run in order, get their values, and are undone and tried again after a failure.
//!
//! The flows are in `tests/operations/src/flows.rs`. Their steps append lines to a trace, with which the tests compare
//! what Postgres has recorded.

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::Installation;

/// Scenario JR-1.
#[test]
fn the_steps_of_a_flow_run_in_order_and_its_output_is_one_of_theirs() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = setup.schedule_flow("ok3", json!({}));
    let waited = setup.rework(["wait-task", &flow.id.to_string()]).run_ok();
    assert_eq!(waited.stdout(), format!("{} done\n", flow.id));
    flow.assert_events("exec a, exec b, exec c");
    assert_eq!(flow.states(), ["a done", "b done", "c done"]);
    // The last step has got the output of the first one.
    assert_eq!(flow.wait_until_done(), json!("a"));
    assert_eq!(setup.task(flow.task_of("b")).output, json!("b"));
    let listed = setup.rework(["list-flows", "-o", "json"]).run_ok().json();
    assert_eq!(listed, json!([]), "a flow that has ended is not listed");
    let all = setup.rework(["list-flows", "--all", "-o", "json"]).run_ok().json();
    assert_eq!((&all[0]["id"], &all[0]["state"]), (&json!(flow.id), &json!("done")), "{all}");
}

/// Scenario JR-3.
#[test]
fn the_code_of_a_flow_runs_once_on_a_worker_and_the_steps_get_the_input_of_the_flow() {
    let setup = Installation::with_fixture();
    let flow = setup.schedule_flow("messages", json!({"message": "m", "times": 3}));
    assert_eq!(flow.plans(), 0, "the code of the flow was called by `schedule`");
    let _monitor = setup.start_monitor(&[]);
    assert_eq!(flow.wait_until_done(), json!("m"));
    flow.assert_events("exec m1, exec m2, exec m3");
    assert_eq!(flow.plans(), 1);
}

#[test]
fn a_flow_without_steps_is_done_at_once() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    for pattern in ["linear", "unordered", "graph"] {
        let empty = json!({"flow": {"pattern": pattern, "name": "nothing", "items": []}});
        let flow = setup.schedule_flow("described", json!({"description": empty}));
        assert_eq!(flow.wait_until_done(), json!(null));
    }
}

/// Scenarios JR-4 and JR-19.
#[test]
fn a_flow_whose_step_fails_is_undone_and_not_tried_again() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let flow = setup.schedule_flow("failb", json!({"k": 9, "n": 0}));
    setup.rework(["wait-task", &flow.id.to_string()]).run_expecting(3);
    assert_eq!(flow.wait_until_reverted(), "step b: b fails");
    flow.assert_events("exec a, exec b, revert b, revert a");
    assert_eq!(flow.states(), ["a reverted", "b reverted", "c pending"]);
    let error = setup.task(flow.id).error;
    assert_eq!(error["kind"], "planned", "{error}");
    let failures = json!([{"step": "b", "task": flow.task_of("b"), "kind": "planned",
                           "reason": "b fails", "continued": false}]);
    assert_eq!(error["failures"], failures, "{error}");
    // The line of a step that is reverted says why it failed.
    let tree = setup.rework(["show-task", &flow.id.to_string()]).run_ok().stdout();
    assert!(tree.contains(&format!("failed #{} b fails", flow.task_of("b"))), "{tree}");
    assert!(tree.contains("reverted 2/2"), "{tree}");
    // The inputs that the code of the reverts has got.
    let all = json!({"b": "b fails"});
    let undo = setup.task(flow.undo_task_of("b")).output;
    assert_eq!((&undo["result"], &undo["failures"]), (&json!(null), &all));
    assert_eq!(undo["error"], json!({"kind": "planned", "message": "b fails"}));
    let undo = setup.task(flow.undo_task_of("a")).output;
    assert_eq!(undo, json!({"result": "a", "error": null, "failures": all}));

    // The only worker has been free since then.
    setup.schedule_flow("ok3", json!({})).wait_until_done();
    assert_eq!((flow.events().len(), setup.task(flow.id).run), (4, 1));
    let listed = setup.rework(["list-flows", "-o", "json"]).run_ok().json();
    assert_eq!(listed, json!([]));
}

/// Scenario JR-5.
#[test]
fn a_controller_lets_a_flow_run_several_times() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = setup.schedule_flow("failb", json!({"k": 2, "n": 3}));
    let hopeless = setup.schedule_flow("failb", json!({"k": 9, "n": 3}));
    flow.wait_until_done();
    let round = "exec a, exec b, revert b, revert a";
    flow.assert_events(&format!("{round}, {round}, exec a, exec b, exec c"));
    assert_eq!(hopeless.wait_until_reverted(), "step b: b fails");
    hopeless.assert_events(&[round; 3].join(", "));
}

/// Scenario JR-7.
#[test]
fn the_events_of_a_flow_are_those_of_taskflow() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let input = |k: u32| json!({"k": k, "n": 2, "is_short": true});
    let flow = setup.schedule_flow("failb", input(1));
    let hopeless = setup.schedule_flow("failb", input(9));
    let events = |id: i64| {
        let shown = setup.rework(["show-task", &id.to_string(), "--events"]).run_ok().stdout();
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let first = "FLOW=RUNNING f_retry=RUNNING f_retry=SUCCESS a=RUNNING a=SUCCESS b=RUNNING \
                 b=FAILURE b=REVERTING b=REVERTED a=REVERTING a=REVERTED f_retry=RETRYING \
                 a=PENDING b=PENDING f_retry=RUNNING f_retry=SUCCESS a=RUNNING a=SUCCESS b=RUNNING";
    flow.wait_until_done();
    assert_eq!(events(flow.id), format!("{first} b=SUCCESS FLOW=SUCCESS"));
    hopeless.wait_until_reverted();
    let last = "b=FAILURE b=REVERTING b=REVERTED a=REVERTING a=REVERTED f_retry=REVERTING \
                f_retry=REVERTED FLOW=REVERTED";
    assert_eq!(events(hopeless.id), format!("{first} {last}"));
}

#[test]
fn the_attempts_of_a_step_are_used_up_before_its_flow_is_undone() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let described = |operation: &str| {
        let items = json!([
            {"step": {"name": "a", "operation": "traced", "revert": "undo_traced",
                      "inject": {"name": "a"}}},
            {"step": {"name": "tries", "operation": operation}}]);
        let flow = json!({"flow": {"pattern": "linear", "name": "f", "items": items}});
        setup.schedule_flow("described", json!({"description": flow}))
    };
    let flow = described("succeeds_third_time");
    flow.wait_until_done();
    let step = setup.task(flow.task_of("tries"));
    assert_eq!((step.state, step.attempt), (State::Done, 3));
    flow.assert_events("exec a");
    let flow = described("always_fails");
    assert_eq!(flow.wait_until_reverted(), "step tries: attempt 2 failed");
    flow.assert_events("exec a, revert a");
}

/// After each failed round of attempts, `on_failure` of the operation is followed. The flow goes on only after the end.
#[test]
fn a_step_and_a_revert_with_an_endless_retry_policy_are_repeated_until_they_are_done() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let policy = r#"{"endless": true, "backoff": "fixed", "first": "10ms"}"#;
    setup.session().execute(&format!(
        "update rework.operation set attempts = 1, retry = '{policy}' where name in ('traced', 'undo_traced')"
    ));
    let flow = setup.schedule_flow("failb", json!({"k": 2, "n": 0}));
    flow.wait_until_done();
    flow.assert_events("exec a, exec b, exec b, exec b, exec c");

    let items = json!([
        {"step": {"name": "a", "operation": "traced", "revert": "undo_traced",
                  "inject": {"name": "a", "effects": {"a": {"revert_fails": 2}}}}},
        {"step": {"name": "tries", "operation": "always_fails"}}]);
    let description = json!({"flow": {"pattern": "linear", "name": "f", "items": items}});
    let flow = setup.schedule_flow("described", json!({"description": description}));
    assert_eq!(flow.wait_until_reverted(), "step tries: attempt 2 failed");
    flow.assert_events("exec a, revert a, revert a, revert a");
}

#[test]
fn a_step_whose_input_is_invalid_has_nothing_to_undo() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let step = |name: &str, argument: Value| {
        json!({"step": {"name": name, "operation": "traced", "revert": "undo_traced",
                        "inject": {"name": argument}}})
    };
    let items = [step("a", json!("a")), step("b", json!(["no text"]))];
    let description = json!({"flow": {"pattern": "linear", "name": "f", "items": items}});
    let flow = setup.schedule_flow("described", json!({"description": description}));
    let reason = flow.wait_until_reverted();
    assert!(reason.starts_with("step b: invalid input: "), "{reason}");
    flow.assert_events("exec a, revert a");
    assert_eq!(flow.states(), ["a reverted", "b reverted"]);
    let tree = setup.rework(["show-task", &flow.id.to_string()]).run_ok().stdout();
    assert!(tree.contains("reverted 2/2") && tree.contains("invalid input: "), "{tree}");
}

#[test]
fn the_tasks_of_steps_are_hidden_in_lists_and_their_logs_are_found_by_the_names_of_the_steps() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let items = json!([{"step": {"name": "first", "operation": "noinput"}},
                       {"step": {"name": "second", "operation": "noinput"}}]);
    let flow = json!({"flow": {"pattern": "linear", "name": "f", "items": items}});
    let flow = setup.schedule_flow("described", json!({"description": flow}));
    flow.wait_until_done();
    let ids = |args: &[&str]| {
        let listed = setup.rework(["list-tasks", "-o", "json"]).args(args).run_ok().json();
        let mut ids: Vec<i64> =
            listed.as_array().unwrap().iter().map(|task| task["id"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&[]), [flow.id]);
    assert_eq!(ids(&["--steps"]), [flow.id, flow.task_of("first"), flow.task_of("second")]);
    let id = flow.id.to_string();
    let log = setup.rework(["log-task", &id, "second"]).run_ok().stdout();
    assert!(log.contains("nothing given"), "{log}");
    let log = setup.rework(["log-task", &id, "--steps"]).run_ok().stdout();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("nothing given")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("first") && lines[1].contains("second"), "{log}");
    setup.rework(["log-task", &id, "third"]).run_expecting(1);
}
