//! Aborts of flows, before, while and after they have a plan, and of single steps. `flow_reverts.rs` has aborts of flows
//! of which a revert failed.

use std::fs;
use std::path::PathBuf;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::flow::TracedFlow;
use crate::support::installation::Installation;

const REASON: &str = "aborted from the command line";

/// Schedules `ok3`, and waits until its step `b` runs. That step waits until the returned file exists.
fn schedule_waiting_in_b(setup: &Installation) -> (TracedFlow<'_>, PathBuf) {
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"waits_for": gate}});
    let flow = setup.schedule_flow("ok3", json!({"effects": effects}));
    flow.wait_for("exec b", 1);
    (flow, gate)
}

/// Schedules `failb`, whose step `b` fails, and waits until that step is undone. Its revert waits until the returned file
/// exists.
fn schedule_waiting_in_revert(setup: &Installation) -> (TracedFlow<'_>, PathBuf) {
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"revert_waits_for": gate}});
    let flow = setup.schedule_flow("failb", json!({"k": 9, "n": 0, "effects": effects}));
    flow.wait_for("revert b", 1);
    (flow, gate)
}

fn abort(setup: &Installation, task: i64, args: &[&str]) -> String {
    setup.rework(["abort-task", &task.to_string()]).args(args).run_ok().stdout()
}

#[test]
fn a_flow_that_is_queued_or_makes_its_plan_is_aborted_as_any_task() {
    let setup = Installation::with_fixture();
    let queued = setup.schedule_flow("ok3", json!({}));
    assert_eq!(abort(&setup, queued.id, &[]), format!("{} aborted\n", queued.id));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let gate = setup.folder().join("gate");
    let planning = setup.schedule("plans_slowly", json!(gate));
    setup.wait_until_logged(planning, "planning");
    abort(&setup, planning, &["--wait"]);
    let task = setup.task(planning);
    assert_eq!((task.state, task.reason()), (State::Aborted, REASON));
    let sql = "select count(*) from rework.flow";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 0);
    queued.assert_events("");
}

#[test]
fn an_abort_of_a_flow_kills_what_runs_and_undoes_what_ran() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let (flow, _gate) = schedule_waiting_in_b(&setup);
    assert_eq!(abort(&setup, flow.id, &[]), format!("{} aborting\n", flow.id));
    let task = flow.wait_until_ended("reverted", State::Aborted);
    assert_eq!(task.reason(), REASON);
    flow.assert_events("exec a, exec b, revert b, revert a");
    let b = setup.task(flow.task_of("b"));
    assert_eq!(
        (b.state, b.reason()),
        (State::Aborted, format!("aborted with flow {}", flow.id).as_str())
    );
    let undo = setup.task(flow.undo_task_of("b")).output;
    assert_eq!(undo["error"]["kind"], "aborted", "{undo}");
    setup.rework(["wait-task", &flow.id.to_string()]).run_expecting(4);
    let again = setup.rework(["abort-task", &flow.id.to_string()]).run();
    assert_eq!(again.code(), Some(1), "{again}");
}

#[test]
fn an_abort_with_wait_ends_when_everything_is_undone() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let (flow, _gate) = schedule_waiting_in_b(&setup);
    assert_eq!(abort(&setup, flow.id, &["--wait"]), format!("{} aborted\n", flow.id));
    flow.assert_events("exec a, exec b, revert b, revert a");
}

/// The only worker is busy, so no step has started.
#[test]
fn an_abort_of_a_flow_takes_steps_back_that_wait_for_a_worker() {
    let setup = Installation::with_fixture();
    let monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let flow = setup.schedule_flow("messages", json!({"message": "m", "times": 1}));
    flow.wait_until_done();
    let gate = setup.folder().join("gate");
    let waiting =
        setup.schedule_flow("messages", json!({"message": "m", "times": 1, "gate": gate}));
    setup.wait_until("the code of the flow runs", || waiting.plans() == 1);
    let mut monitor = monitor;
    monitor.signal(nix::sys::signal::Signal::SIGTERM);
    setup.wait_until("the monitor is draining", || monitor.output().contains("draining"));
    fs::write(&gate, "").unwrap();
    assert_eq!(monitor.wait_for_exit_code(), Some(0), "{}", monitor.output());
    assert_eq!(waiting.states(), ["m1 started"], "{}", waiting.describe());
    assert_eq!(abort(&setup, waiting.id, &[]), format!("{} aborted\n", waiting.id));
    let task = waiting.wait_until_ended("reverted", State::Aborted);
    assert_eq!(task.reason(), REASON);
    waiting.assert_events("");
}

#[test]
fn an_abort_of_a_flow_that_is_undone_lets_it_finish_that() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let (flow, gate) = schedule_waiting_in_revert(&setup);
    assert_eq!(abort(&setup, flow.id, &[]), format!("{} aborting\n", flow.id));
    assert_eq!(flow.phase(), "reverting");
    assert_eq!(setup.task(flow.undo_task_of("b")).state, State::Running);
    fs::write(&gate, "").unwrap();
    let task = flow.wait_until_ended("reverted", State::Aborted);
    assert_eq!(task.reason(), REASON);
    flow.assert_events("exec a, exec b, revert b, revert a");
}

/// The steps of a round are undone, and there would be another round.
#[test]
fn an_aborted_flow_has_no_further_round() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"revert_waits_for": gate}});
    let flow = setup.schedule_flow("failb", json!({"k": 9, "n": 3, "effects": effects}));
    flow.wait_for("revert b", 1);
    abort(&setup, flow.id, &[]);
    fs::write(&gate, "").unwrap();
    flow.wait_until_ended("reverted", State::Aborted);
    flow.assert_events("exec a, exec b, revert b, revert a");
}

#[test]
fn an_abort_without_reverts_leaves_everything_as_it_is() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let (flow, _gate) = schedule_waiting_in_b(&setup);
    abort(&setup, flow.id, &["--no-revert", "--reason", "enough"]);
    let task = flow.wait_until_ended("stopped", State::Aborted);
    assert_eq!(task.reason(), "aborted enough; not reverted: a, b");
    flow.assert_events("exec a, exec b");
    assert_eq!(flow.states(), ["a done", "b failed", "c pending"]);

    let (flow, _gate) = schedule_waiting_in_revert(&setup);
    abort(&setup, flow.id, &[]);
    // The second abort is stricter than the first one.
    abort(&setup, flow.id, &["--no-revert"]);
    let task = flow.wait_until_ended("stopped", State::Aborted);
    assert_eq!(task.reason(), format!("{REASON}; not reverted: a, b"));
    flow.assert_events("exec a, exec b, revert b");
}

#[test]
fn a_step_that_is_aborted_has_failed_and_the_controllers_decide() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let (flow, _gate) = schedule_waiting_in_b(&setup);
    abort(&setup, flow.task_of("b"), &[]);
    assert_eq!(flow.wait_until_reverted(), format!("step b: {REASON}"));
    flow.assert_events("exec a, exec b, revert b, revert a");

    let gate = setup.folder().join("gate of a round");
    let effects = json!({"b": {"waits_for": gate}});
    let flow = setup.schedule_flow("failb", json!({"k": 0, "n": 2, "effects": effects}));
    flow.wait_for("exec b", 1);
    abort(&setup, flow.task_of("b"), &[]);
    flow.wait_for("exec b", 2);
    fs::write(&gate, "").unwrap();
    flow.wait_until_done();
    flow.assert_events("exec a, exec b, revert b, revert a, exec a, exec b, exec c");
}

#[test]
fn a_step_that_waits_for_a_worker_can_be_aborted_too() {
    let setup = Installation::with_fixture();
    let items: Value = json!([
        {"step": {"name": "a", "operation": "traced", "revert": "undo_traced",
                  "inject": {"name": "a"}}},
        {"step": {"name": "elsewhere", "operation": "nondefault/other_domain", "whole": "trace"}}]);
    let flow = json!({"flow": {"pattern": "linear", "name": "f", "items": items}});
    let _monitor = setup.start_monitor(&[]);
    let flow = setup.schedule_flow("described", json!({"description": flow}));
    let is_queued = || flow.states() == ["a done", "elsewhere started"];
    setup.wait_until("the step of the other domain is queued", is_queued);
    let id = flow.task_of("elsewhere");
    let shown = setup.rework(["show-task", &id.to_string()]).run_ok().stdout();
    assert!(shown.contains("nondefault"), "nothing says why the step waits: {shown}");
    assert_eq!(abort(&setup, id, &[]), format!("{id} aborted\n"));
    assert_eq!(flow.wait_until_reverted(), format!("step elsewhere: {REASON}"));
    flow.assert_events("exec a, revert a");
}
