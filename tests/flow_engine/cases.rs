//! Sequences that random flows rarely find: ends that are recorded in one transaction, of which one changes what the
//! other means.

use rework_flow::model::{End, Event, Phase, Work};
use rework_flow::plan::Plan;
use serde_json::{Value, json};

use super::driver::Driver;
use super::operations::Operations;
use super::requests;
use super::runs::{claim_tasks, record};
use crate::support::Installation;

/// Runs a flow with this plan. After each call the rows equal the model.
struct Case<'a> {
    driver: Driver<'a>,
}

impl<'a> Case<'a> {
    #[track_caller]
    fn start(setup: &Installation, operations: &'a Operations, plan: Plan) -> Case<'a> {
        let mut driver = Driver::new(setup.dsn(), operations, 0);
        requests::start_flow(&mut driver, plan, json!({}));
        let mut case = Case { driver };
        case.compare();
        case
    }

    #[track_caller]
    fn compare(&mut self) {
        self.driver.compare(&[0]).unwrap_or_else(|fault| panic!("{fault}"));
    }

    /// Lets these tasks end in one transaction.
    #[track_caller]
    fn end(&mut self, ends: &[(Work, End)]) {
        self.claim(&ends.iter().map(|(work, _)| *work).collect::<Vec<_>>());
        let (mut runs, mut outcomes, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for (work, end) in ends {
            let open = &self.driver.flows[0].open;
            let task =
                open.iter().find(|(of, _)| *of == Some(*work)).map(|(_, task)| task).unwrap();
            runs.push((task.id, task.run));
            outcomes.push(if matches!(end, End::Done(_)) { "done" } else { "failed" });
            outputs.push(match end {
                End::Done(output) => Some(output.to_string()),
                End::Failed(_) => None,
            });
        }
        let reasons = vec![Some("no"); ends.len()];
        record(&self.driver.session, &runs, &outcomes, &reasons, &outputs);
        self.driver.flows[0].apply(Event::Ended(ends.to_vec()));
        self.compare();
    }

    /// Claims tasks that no worker has claimed.
    #[track_caller]
    fn claim(&mut self, works: &[Work]) {
        let flow = &mut self.driver.flows[0];
        let is_new = |(work, task): &(Option<Work>, super::rows::TaskRow)| {
            work.filter(|work| works.contains(work) && task.state == "queued").map(|w| (w, task.id))
        };
        let claimed: Vec<(Work, i64)> = flow.open.iter().filter_map(is_new).collect();
        for (work, _) in &claimed {
            flow.apply(Event::Claimed(*work));
        }
        let tasks: Vec<i64> = claimed.into_iter().map(|(_, task)| task).collect();
        claim_tasks(&self.driver.session, &tasks);
        self.compare();
    }

    #[track_caller]
    fn abort(&mut self, revert: bool) {
        requests::abort_with(&mut self.driver, 0, revert).unwrap_or_else(|fault| panic!("{fault}"));
    }

    #[track_caller]
    fn retry(&mut self) {
        let id = self.driver.flows[0].id;
        self.driver.session.query("select rework.retry_flow($1)", &[&id]);
        self.driver.flows[0].apply(Event::Retried { reverted: None });
        self.compare();
    }

    fn phase(&self) -> Phase {
        self.driver.flows[0].model.phase()
    }
}

fn done() -> End {
    End::Done(json!({"ok": true}))
}

fn failed() -> End {
    End::Failed("no".to_owned())
}

fn answer(text: &str) -> End {
    End::Done(json!({"decision": text, "value": 1}))
}

/// Makes a plan. The scopes have an outer scope, a first and a last step and a controller; the steps have the number of
/// a scope, a kind, and the steps before them. `others` replaces keys of single steps.
fn plan(
    operations: &Operations,
    scopes: &[(Option<i32>, i32, i32, Option<&str>)],
    steps: &[(i32, &str, &[i32])],
    others: &[(usize, Value)],
) -> Plan {
    let scope = |(number, (outer, first, last, controller)): (usize, &(_, _, _, Option<&str>))| {
        let operation = (*controller == Some("operation")).then_some(operations.decide);
        json!({"number": number, "outer": outer, "first": first, "last": last, "name": format!("p{number}"),
            "pattern": "graph", "controller": controller, "attempts": controller.filter(|c| *c == "times").map(|_| 2),
            "values": null, "values_from": null, "operation": operation, "revert_all": false, "provides": null})
    };
    let step = |(number, (scope, kind, before)): (usize, &(i32, &str, &[i32]))| {
        let after = steps.iter().zip(0..).filter(|(step, _)| step.2.contains(&(number as i32)));
        let (execute, undo) = if *kind == "task" {
            (Some(operations.execute), Some(operations.undo))
        } else {
            (None, None)
        };
        json!({"number": number, "name": format!("s{number}"), "scope": scope, "kind": kind, "operation": execute,
            "undo_operation": undo, "before": before, "after": after.map(|(_, n)| n).collect::<Vec<i32>>(),
            "args": null, "condition": null, "on_failure": "revert"})
    };
    let mut steps_json: Vec<Value> = steps.iter().enumerate().map(step).collect();
    for (number, keys) in others {
        for (key, value) in keys.as_object().unwrap() {
            steps_json[*number][key] = value.clone();
        }
    }
    let scopes_json: Vec<Value> = scopes.iter().enumerate().map(scope).collect();
    let simple = scopes.len() == 1 && others.is_empty() && scopes[0].3.is_none();
    let plan =
        json!({"simple": simple, "returns": null, "scopes": scopes_json, "steps": steps_json});
    serde_json::from_str(&plan.to_string()).unwrap()
}

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
