//! Flows of which a revert fails: they wait for somebody, who retries the revert, does its work by hand, or aborts the
//! flow.

use std::fs;
use std::path::PathBuf;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::flow::TracedFlow;
use crate::support::installation::Installation;

/// Schedules `failb` without a controller. Its step `b` fails, and so does its first revert.
fn schedule_parked(setup: &Installation) -> TracedFlow<'_> {
    let effects = json!({"b": {"revert_fails": 1}});
    let flow = setup.schedule_flow("failb", json!({"k": 9, "n": 0, "effects": effects}));
    flow.wait_for_phase("revert_failed");
    flow
}

/// Scenario JR-13.
#[test]
fn a_flow_of_which_a_revert_fails_waits_for_somebody_and_everybody_is_told() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = schedule_parked(&setup);
    let id = flow.id.to_string();
    flow.assert_events("exec a, exec b, revert b");
    assert_eq!(flow.states(), ["a done", "b revert_failed", "c pending"]);
    let task = setup.task(flow.id);
    let reason = "revert of b failed: the revert of b fails";
    assert_eq!((task.state, task.reason()), (State::Waiting, reason));
    let waited = setup.rework(["wait-task", &id]).run_expecting(3);
    assert!(waited.stderr().contains(reason), "{waited}");
    assert!(waited.stderr().contains(&format!("rework retry-task {id}")), "{waited}");
    let shown = setup.rework(["show-task", &id]).run_ok();
    assert!(shown.stdout().contains("revert failed"), "{shown}");
    let listed = setup.rework(["list-flows", "-o", "json"]).run_ok().json();
    assert_eq!(listed[0]["state"], "revert_failed", "{listed}");
    let events = setup.rework(["show-task", &id, "--events"]).run_ok().stdout();
    assert!(events.trim_end().ends_with("b=REVERT_FAILURE\nFLOW=FAILURE"), "{events}");
}

/// Scenario JR-13.
#[test]
fn somebody_who_already_waits_for_a_flow_learns_that_a_revert_failed() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"revert_fails": 1, "revert_waits_for": gate}});
    let flow = setup.schedule_flow("failb", json!({"k": 9, "n": 0, "effects": effects}));
    flow.wait_for("revert b", 1);
    let waiter = setup.rework(["wait-task", &flow.id.to_string()]).spawn();
    let sql = "select notify_end from rework.task where id = $1";
    setup.wait_until("the command waits", || setup.session().query_value(sql, &[&flow.id]));
    fs::write(&gate, "").unwrap();
    let output = waiter.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_revert_that_failed_is_tried_again_on_request() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = schedule_parked(&setup);
    let retried = setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    let expected = format!("flow {}: its reverts are tried again\n", flow.id);
    assert_eq!(retried.stdout(), expected);
    assert_eq!(flow.wait_until_reverted(), "step b: b fails");
    flow.assert_events("exec a, exec b, revert b, revert b, revert a");
    setup.rework(["wait-task", &flow.id.to_string()]).run_expecting(3);
}

#[test]
fn a_step_that_somebody_has_undone_counts_as_reverted() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = schedule_parked(&setup);
    let id = flow.id.to_string();
    let retry = |step: &str| setup.rework(["retry-task", &id, "--reverted", step]);
    for step in ["a", "nobody"] {
        let refused = retry(step).run_expecting(1);
        let expected = format!("flow {id} has no step `{step}` whose revert failed");
        assert!(refused.stderr().contains(&expected), "{refused}");
    }
    assert_eq!(retry("b").run_ok().stdout(), format!("flow {id}: step b counts as reverted\n"));
    assert_eq!(flow.wait_until_reverted(), "step b: b fails");
    flow.assert_events("exec a, exec b, revert b, revert a");
    assert_eq!(flow.states(), ["a reverted", "b reverted", "c pending"]);
    let refused = retry("b").run_expecting(1);
    let expected = format!("flow {id} has no step whose revert failed");
    assert!(refused.stderr().contains(&expected), "{refused}");
}

#[test]
fn an_abort_of_a_flow_of_which_a_revert_failed_ends_it_at_once() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = schedule_parked(&setup);
    let aborted = setup.rework(["abort-task", &flow.id.to_string()]).run_ok();
    assert_eq!(aborted.stdout(), format!("{} aborted\n", flow.id));
    let task = flow.wait_until_ended("stopped", State::Aborted);
    assert_eq!(task.reason(), "aborted from the command line; not reverted: a, b");
    flow.assert_events("exec a, exec b, revert b");
    setup.rework(["wait-task", &flow.id.to_string()]).run_expecting(4);
}

#[test]
fn what_does_not_depend_on_a_step_whose_revert_failed_is_undone_meanwhile() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let step = |name: &str| {
        json!({"step": {"name": name, "operation": "traced", "revert": "undo_traced",
                        "inject": {"name": name}}})
    };
    let branch = |name: &str, steps: [&str; 2]| {
        let items = steps.map(step);
        json!({"flow": {"pattern": "linear", "name": name, "items": items}})
    };
    let items = [branch("left", ["l1", "l2"]), branch("right", ["r1", "r2"])];
    let both = json!({"flow": {"pattern": "unordered", "name": "both", "items": items}});
    let whole = json!({"pattern": "linear", "name": "f", "items": [both, step("last")]});
    let effects = json!({"last": {"fails": 1}, "l2": {"revert_fails": 2}});
    let input = json!({"description": {"flow": whole}, "effects": effects});
    let flow = setup.schedule_flow("described", input);
    let right_is_undone = || flow.count("revert r1") == 1 && flow.phase() == "revert_failed";
    setup.wait_until("the other branch is undone", right_is_undone);
    assert_eq!(flow.count("revert l1"), 0, "{}", flow.describe());
    let retry = || setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    retry();
    flow.wait_for("revert l2", 2);
    flow.wait_for_phase("revert_failed");
    retry();
    assert_eq!(flow.wait_until_reverted(), "step last: last fails");
    assert_eq!(flow.events().last().map(String::as_str), Some("revert l1"));
}

/// A revert that fails while a flow is undone for its next round.
#[test]
fn a_round_goes_on_after_a_revert_that_failed_is_retried() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let effects = json!({"a": {"revert_fails": 1}});
    let flow = setup.schedule_flow("failb", json!({"k": 1, "n": 2, "effects": effects}));
    flow.wait_for_phase("revert_failed");
    setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    flow.wait_until_done();
    flow.assert_events("exec a, exec b, revert b, revert a, revert a, exec a, exec b, exec c");
}

#[test]
fn a_revert_that_is_aborted_has_failed() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let gate: PathBuf = setup.folder().join("gate");
    let effects: Value = json!({"b": {"revert_waits_for": gate}});
    let flow = setup.schedule_flow("failb", json!({"k": 9, "n": 0, "effects": effects}));
    flow.wait_for("revert b", 1);
    setup.rework(["abort-task", &flow.undo_task_of("b").to_string()]).run_ok();
    flow.wait_for_phase("revert_failed");
    let task = setup.task(flow.id);
    assert_eq!(task.reason(), "revert of b failed: aborted from the command line");
    fs::write(&gate, "").unwrap();
    setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    flow.wait_until_reverted();
}

/// The abort was requested before the revert failed. Then the flow is not ended, because nobody knew of the failure.
#[test]
fn a_flow_that_is_aborted_waits_too_if_a_revert_fails() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"waits_for": gate}, "a": {"revert_fails": 1}});
    let flow = setup.schedule_flow("ok3", json!({"effects": effects}));
    flow.wait_for("exec b", 1);
    setup.rework(["abort-task", &flow.id.to_string()]).run_ok();
    flow.wait_for_phase("revert_failed");
    let waited = setup.rework(["wait-task", &flow.id.to_string()]).run_expecting(3);
    assert!(waited.stderr().contains("revert of a failed"), "{waited}");
    setup.rework(["retry-task", &flow.id.to_string()]).run_ok();
    let task = flow.wait_until_ended("reverted", State::Aborted);
    assert_eq!(task.reason(), "aborted from the command line");
    flow.assert_events("exec a, exec b, revert b, revert a, revert a");
}
