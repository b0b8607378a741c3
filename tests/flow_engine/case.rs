//! A flow that a test drives event by event.

use rework_flow::model::{End, Event, Phase, Work};
use rework_flow::plan::Plan;
use serde_json::{Value, json};

use super::driver::Driver;
use super::operations::Operations;
use super::requests;
use super::rows::TaskRow;
use super::runs::{claim_tasks, record};
use crate::support::Installation;

/// Runs a flow with this plan. After each call the rows equal the model.
pub(super) struct Case<'a> {
    pub(super) driver: Driver<'a>,
}

impl<'a> Case<'a> {
    #[track_caller]
    pub(super) fn start(setup: &Installation, operations: &'a Operations, plan: Plan) -> Case<'a> {
        let mut driver = Driver::new(setup.dsn(), operations, 0);
        requests::start_flow(&mut driver, plan, json!({}));
        let mut case = Case { driver };
        case.compare();
        case
    }

    #[track_caller]
    pub(super) fn compare(&mut self) {
        self.driver.compare(&[0]).unwrap_or_else(|fault| panic!("{fault}"));
    }

    /// Lets these tasks end in one transaction.
    #[track_caller]
    pub(super) fn end(&mut self, ends: &[(Work, End)]) {
        self.claim(&ends.iter().map(|(work, _)| *work).collect::<Vec<_>>());
        let (mut runs, mut outcomes, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for (work, end) in ends {
            let open = &self.driver.flows[0].open;
            let task =
                open.iter().find(|(of, _)| *of == Some(*work)).map(|(_, task)| task).unwrap();
            runs.push((task.id, task.run));
            let (outcome, output) = match end {
                End::Done(output) => ("done", Some(output.to_string())),
                End::Failed(_) => ("failed", None),
                End::Refused(_) => ("refused", None),
            };
            outcomes.push(outcome);
            outputs.push(output);
        }
        let reasons = vec![Some("no"); ends.len()];
        record(&self.driver.session, &runs, &outcomes, &reasons, &outputs);
        self.driver.flows[0].apply(Event::Ended(ends.to_vec()));
        self.compare();
    }

    /// Claims tasks that no worker has claimed.
    #[track_caller]
    pub(super) fn claim(&mut self, works: &[Work]) {
        let flow = &mut self.driver.flows[0];
        let is_new = |(work, task): &(Option<Work>, TaskRow)| {
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
    pub(super) fn abort(&mut self, revert: bool) {
        requests::abort_with(&mut self.driver, 0, revert).unwrap_or_else(|fault| panic!("{fault}"));
    }

    #[track_caller]
    pub(super) fn retry(&mut self) {
        let id = self.driver.flows[0].id;
        self.driver.session.query("select rework.retry_flow($1)", &[&id]);
        self.driver.flows[0].apply(Event::Retried { reverted: None });
        self.compare();
    }

    pub(super) fn phase(&self) -> Phase {
        self.driver.flows[0].model.phase()
    }
}

pub(super) fn done() -> End {
    End::Done(json!({"ok": true}))
}

pub(super) fn failed() -> End {
    End::Failed("no".to_owned())
}

pub(super) fn answer(text: &str) -> End {
    End::Done(json!({"decision": text, "value": 1}))
}

/// Makes a plan. The scopes have an outer scope, a first and a last step and a controller; the steps have the number of
/// a scope, a kind, and the steps before them. `others` replaces keys of single steps.
pub(super) fn plan(
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
    let remaining = steps_json.iter().filter(|step| step["after"] == json!([])).count();
    let plan = json!({"simple": simple, "returns": null, "remaining": remaining, "scopes": scopes_json,
        "steps": steps_json});
    serde_json::from_str(&plan.to_string()).unwrap()
}
