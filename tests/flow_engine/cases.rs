//! Sequences that random flows rarely find: ends that are recorded in one transaction, of which one changes what the
//! other means.

use rework_flow::model::{End, Phase, Work};
use serde_json::json;

use super::case::{Case, answer, done, failed, plan};
use super::operations::Operations;
use super::requests;
use crate::support::Installation;

#[test]
fn of_two_answers_only_the_one_that_still_matters_counts() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let scopes = [
        (None, 0, 11, None),
        (Some(0), 0, 11, Some("times")),
        (Some(1), 1, 5, Some("operation")),
        (Some(1), 6, 10, Some("operation")),
    ];
    let steps: [(i32, &str, &[i32]); 12] = [
        (1, "enter", &[]),
        (2, "enter", &[0]),
        (2, "task", &[1]),
        (2, "task", &[2]),
        (2, "task", &[2]),
        (2, "exit", &[3, 4]),
        (3, "enter", &[0]),
        (3, "task", &[6]),
        (3, "task", &[7]),
        (3, "task", &[7]),
        (3, "exit", &[8, 9]),
        (1, "exit", &[5, 10]),
    ];
    let mut case = Case::start(&setup, &operations, plan(&operations, &scopes, &steps, &[]));
    let (retry, revert) = (|| answer("retry"), || answer("revert"));
    case.end(&[(Work::Execute(1), retry()), (Work::Execute(6), retry())]);
    case.end(&[(Work::Execute(2), done()), (Work::Execute(7), done())]);
    let executions = [3, 4, 8, 9].map(|number| (Work::Execute(number), failed()));
    case.end(&executions);
    case.end(&[(Work::Decide(2), retry()), (Work::Decide(3), revert())]);
    for number in [3, 4, 2, 8, 9, 7] {
        case.end(&[(Work::Revert(number), done())]);
    }
    assert_eq!(case.phase(), Phase::Executing);
}

#[test]
fn a_revert_ends_together_with_a_failure_outside_its_scope() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let scopes = [(None, 0, 4, None), (Some(0), 0, 3, Some("times"))];
    let steps: [(i32, &str, &[i32]); 5] = [
        (1, "enter", &[]),
        (1, "task", &[0]),
        (1, "task", &[1]),
        (1, "exit", &[2]),
        (0, "task", &[]),
    ];
    let mut case = Case::start(&setup, &operations, plan(&operations, &scopes, &steps, &[]));
    case.end(&[(Work::Execute(1), done())]);
    case.end(&[(Work::Execute(2), failed())]);
    case.end(&[(Work::Revert(2), done()), (Work::Execute(4), failed())]);
    case.end(&[(Work::Revert(4), done())]);
    assert_eq!(case.phase(), Phase::Reverting);
    case.end(&[(Work::Revert(1), done())]);
    assert_eq!(case.phase(), Phase::Reverted);
}

#[test]
fn the_last_step_ends_together_with_the_revert_after_which_a_scope_is_tried_again() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let scopes = [(None, 0, 3, None), (Some(0), 0, 2, Some("times"))];
    let steps: [(i32, &str, &[i32]); 4] =
        [(1, "enter", &[]), (1, "task", &[0]), (1, "exit", &[1]), (0, "task", &[])];
    let mut case = Case::start(&setup, &operations, plan(&operations, &scopes, &steps, &[]));
    case.end(&[(Work::Execute(1), failed())]);
    case.end(&[(Work::Revert(1), done()), (Work::Execute(3), done())]);
    assert_eq!(case.phase(), Phase::Executing);
    case.end(&[(Work::Execute(1), done())]);
    assert_eq!(case.phase(), Phase::Done);
}

#[test]
fn an_abort_reverts_although_a_failure_of_the_running_step_stops_the_flow() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let others = [(1, json!({"on_failure": "stop"}))];
    let steps: [(i32, &str, &[i32]); 2] = [(0, "task", &[]), (0, "task", &[0])];
    let plan = plan(&operations, &[(None, 0, 1, None)], &steps, &others);
    let mut case = Case::start(&setup, &operations, plan);
    case.end(&[(Work::Execute(0), done())]);
    case.claim(&[Work::Execute(1)]);
    case.abort(true);
    let id = case.driver.flows[0].id;
    case.end(&[(Work::Execute(1), End::Failed(format!("aborted with flow {id}")))]);
    case.end(&[(Work::Revert(1), done())]);
    case.end(&[(Work::Revert(0), done())]);
    assert_eq!(case.phase(), Phase::Reverted);
}

#[test]
fn a_plan_that_is_recorded_twice_does_not_end_a_flow_that_is_aborted() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let steps: [(i32, &str, &[i32]); 1] = [(0, "task", &[])];
    let plan = plan(&operations, &[(None, 0, 0, None)], &steps, &[]);
    let mut case = Case::start(&setup, &operations, plan);
    case.claim(&[Work::Execute(0)]);
    case.abort(true);
    requests::plan_twice(&mut case.driver).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn a_condition_is_evaluated_again_after_a_stop() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    // Step 3 waits for step 1, whose condition is false at first, and for step 2, which fails.
    let condition = json!({"sources": [{"step": 0, "path": ["ok"]}], "depth": "all"});
    let others = [(1, json!({"condition": condition}))];
    let steps: [(i32, &str, &[i32]); 4] =
        [(0, "task", &[]), (0, "task", &[0]), (0, "task", &[]), (0, "task", &[1, 2])];
    let plan = plan(&operations, &[(None, 0, 3, None)], &steps, &others);
    let mut case = Case::start(&setup, &operations, plan);
    case.end(&[(Work::Execute(0), End::Done(json!({"ok": false})))]);
    case.end(&[(Work::Execute(2), failed())]);
    case.abort(false);
    case.retry();
    case.end(&[(Work::Execute(0), done())]);
    case.end(&[(Work::Execute(2), done())]);
    case.end(&[(Work::Execute(1), done())]);
    case.end(&[(Work::Execute(3), done())]);
    assert_eq!(case.phase(), Phase::Done);
}

#[test]
fn a_scope_is_skipped_as_a_whole() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let condition = json!({"sources": [{"value": false}], "depth": "neighbors"});
    let others = [(0, json!({"condition": condition}))];
    let scopes = [(None, 0, 4, None), (Some(0), 1, 3, Some("times"))];
    let steps: [(i32, &str, &[i32]); 5] = [
        (0, "task", &[]),
        (1, "enter", &[0]),
        (1, "task", &[1]),
        (1, "exit", &[2]),
        (0, "task", &[3]),
    ];
    let mut case = Case::start(&setup, &operations, plan(&operations, &scopes, &steps, &others));
    case.end(&[(Work::Execute(4), done())]);
    assert_eq!(case.phase(), Phase::Done);
}

#[test]
fn a_controller_that_answers_nonsense_does_not_let_its_scope_start() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let scopes = [(None, 0, 2, None), (Some(0), 0, 2, Some("operation"))];
    let steps: [(i32, &str, &[i32]); 3] = [(1, "enter", &[]), (1, "task", &[0]), (1, "exit", &[1])];
    let mut case = Case::start(&setup, &operations, plan(&operations, &scopes, &steps, &[]));
    case.end(&[(Work::Execute(0), End::Done(json!("yes")))]);
    assert_eq!(case.phase(), Phase::Reverted);
}

#[test]
fn a_step_whose_task_cannot_be_made_stops_the_flow_if_its_failure_does() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let others = [(1, json!({"operation": operations.refused, "on_failure": "stop"}))];
    let steps: [(i32, &str, &[i32]); 2] = [(0, "task", &[]), (0, "task", &[0])];
    let plan = plan(&operations, &[(None, 0, 1, None)], &steps, &others);
    let mut case = Case::start(&setup, &operations, plan);
    case.end(&[(Work::Execute(0), done())]);
    assert_eq!(case.phase(), Phase::Stopped);
}
