//! Flows that cannot go on because of their data, and what their ends and retries leave behind.

use serde_json::{Value, json};

use crate::flow_engine::operations::Operations;
use crate::flow_engine::runs::{claim_tasks, record};
use crate::support::Installation;
use crate::support::session::Session;

/// JSON of which Postgres can read no part: the text is half of a pair of surrogates.
const UNREADABLE: &str = r#"{"x": "\ud800"}"#;

/// An installation with the operations of the tests. The test plays the workers.
struct Scene {
    setup: Installation,
    operations: Operations,
}

impl Scene {
    fn new() -> Scene {
        let setup = Installation::new();
        let operations = Operations::insert(setup.session());
        Scene { setup, operations }
    }

    fn session(&self) -> &Session {
        self.setup.session()
    }

    /// Describes a step with a revert.
    fn step(&self, number: i32, before: &[i32], after: &[i32]) -> Value {
        json!({"number": number, "name": format!("s{number}"), "scope": 0, "kind": "task",
            "operation": self.operations.execute, "undo_operation": self.operations.undo,
            "before": before, "after": after, "on_failure": "revert"})
    }

    /// Starts a flow with these steps. Returns its id.
    fn start(&self, steps: &[Value], returns: Option<Value>) -> i64 {
        let is_simple = steps.iter().all(|step| step["on_failure"] == "revert");
        let remaining = steps.iter().filter(|step| step["after"] == json!([])).count();
        let mut plan = json!({"simple": is_simple, "remaining": remaining, "steps": steps,
            "scopes": [{"number": 0, "first": 0, "last": steps.len() - 1, "name": "p",
                        "pattern": "graph"}]});
        if let Some(returns) = returns {
            plan["returns"] = returns;
        }
        let sql = "select rework.schedule('flow', domain => 'flows')";
        let flow: i64 = self.session().query_value(sql, &[]);
        let run = claim_tasks(self.session(), &[flow]);
        record(self.session(), &run, &["planned"], &[], &[Some(plan.to_string())]);
        flow
    }

    /// Returns the task that a step has now.
    fn task_of(&self, flow: i64, number: i32) -> i64 {
        let sql = "select case when state = 'reverting' then undo_task else task end
                     from rework.step where flow = $1 and number = $2";
        self.session().query_value(sql, &[&flow, &number])
    }

    /// Lets steps end in one transaction, all with this outcome and output.
    fn end(&self, steps: &[(i64, i32)], outcome: &str, output: &str) {
        let tasks: Vec<i64> =
            steps.iter().map(|&(flow, number)| self.task_of(flow, number)).collect();
        let runs = claim_tasks(self.session(), &tasks);
        let reasons = vec![Some("broken"); runs.len()];
        let output = Some(output.to_owned()).filter(|_| outcome == "done");
        record(self.session(), &runs, &[outcome], &reasons, &vec![output; runs.len()]);
    }

    /// Returns the phase of a flow, and the state and the reason of its task.
    fn state(&self, flow: i64) -> [String; 3] {
        let sql = "select array[f.phase, t.state::text, coalesce(t.reason, '')]
                     from rework.flow f join rework.task t using (id) where f.id = $1";
        let values: Vec<String> = self.session().query_value(sql, &[&flow]);
        values.try_into().unwrap()
    }

    /// Returns the states of the steps of a flow.
    fn steps(&self, flow: i64) -> Vec<String> {
        let sql = "select state from rework.step where flow = $1 order by number";
        self.session().query_values(sql, &[&flow])
    }
}

#[test]
fn a_flow_that_cannot_go_on_records_the_end_of_the_step_and_fails() {
    let scene = Scene::new();
    let mut last = scene.step(2, &[0], &[]);
    last["args"] = json!({"args": {"a": [{"step": 0, "path": ["x"]}]}});
    let steps = [scene.step(0, &[], &[2]), scene.step(1, &[], &[]), last];
    let flow = scene.start(&steps, None);
    scene.end(&[(flow, 0)], "done", UNREADABLE);
    // The task of the second step was withdrawn, because no worker has it.
    assert_eq!(scene.steps(flow), ["done", "pending", "pending"]);
    let [phase, state, reason] = scene.state(flow);
    assert_eq!((phase.as_str(), state.as_str()), ("stopped", "failed"), "{reason}");
    assert!(reason.starts_with("it cannot go on: "), "{reason}");
    assert!(reason.ends_with("; not reverted: s0"), "{reason}");
}

#[test]
fn a_step_that_runs_while_its_flow_stops_is_waited_for() {
    let scene = Scene::new();
    let mut last = scene.step(2, &[0], &[]);
    last["args"] = json!({"args": {"a": [{"step": 0, "path": ["x"]}]}});
    let steps = [scene.step(0, &[], &[2]), scene.step(1, &[], &[]), last];
    let flow = scene.start(&steps, None);
    let running = claim_tasks(scene.session(), &[scene.task_of(flow, 1)]);
    scene.end(&[(flow, 0)], "done", UNREADABLE);
    assert_eq!(scene.state(flow)[..2], ["stopping", "waiting"]);
    assert_eq!(scene.steps(flow), ["done", "started", "pending"]);
    record(scene.session(), &running, &["done"], &[], &[Some("1".to_owned())]);
    let [phase, state, reason] = scene.state(flow);
    assert_eq!((phase.as_str(), state.as_str()), ("stopped", "failed"), "{reason}");
    assert!(reason.ends_with("; not reverted: s0, s1"), "{reason}");
}

#[test]
fn an_output_that_cannot_be_made_concerns_only_its_flow() {
    let scene = Scene::new();
    let part = json!({"whole": [{"step": 0, "path": ["x"]}]});
    let flows = [Some(part), None].map(|returns| scene.start(&[scene.step(0, &[], &[])], returns));
    scene.end(&flows.map(|flow| (flow, 0)), "done", UNREADABLE);
    assert_eq!(scene.state(flows[1]), ["done", "done", ""]);
    let [phase, state, reason] = scene.state(flows[0]);
    assert_eq!((phase.as_str(), state.as_str()), ("stopped", "failed"));
    assert!(reason.starts_with("its output cannot be made: "), "{reason}");
    assert_eq!(scene.steps(flows[0]), ["done"]);
}

#[test]
fn a_flow_that_cannot_repeat_what_it_missed_does_not_disturb_the_poll() {
    let scene = Scene::new();
    let flow = scene.start(&[scene.step(0, &[], &[])], None);
    scene.session().execute(&format!(
        "update rework.flow set missed = true where id = {flow};
         create or replace function rework.settle_flow(flow bigint, over integer[], failed integer[],
                                                       ready integer[], undone integer[]) returns void
         language plpgsql as $$ begin raise data_exception using message = 'planted'; end $$"
    ));
    scene.session().execute("select rework.advance_missed()");
    assert_eq!(scene.state(flow), ["stopped", "failed", "it cannot go on: planted"]);
}

#[test]
fn a_failure_in_spite_of_which_the_flow_continues_is_not_its_reason() {
    let scene = Scene::new();
    let mut first = scene.step(0, &[], &[1]);
    first["on_failure"] = json!("continue");
    let flow = scene.start(&[first, scene.step(1, &[0], &[])], None);
    scene.end(&[(flow, 0)], "failed", "");
    scene.end(&[(flow, 1)], "failed", "");
    for number in [1, 0] {
        scene.end(&[(flow, number)], "done", "1");
    }
    assert_eq!(scene.state(flow), ["reverted", "failed", "step s1: broken"]);
}

#[test]
fn the_tasks_that_follow_a_flow_follow_it_again_after_a_retry() {
    let scene = Scene::new();
    scene.session().execute(
        "update rework.operation set run_after = '{execute}', on_failure = '{undo}' where name = 'flow'",
    );
    let mut step = scene.step(0, &[], &[]);
    step["on_failure"] = json!("stop");
    let flow = scene.start(&[step], None);
    let followers = || -> Vec<String> {
        let sql = "select o.name from rework.task t join rework.operation o on o.id = t.operation
                    where t.parent = $1 order by t.id";
        scene.session().query_values(sql, &[&flow])
    };
    for expected in [&["undo"][..], &["undo", "undo"]] {
        scene.end(&[(flow, 0)], "failed", "");
        assert_eq!(scene.state(flow), ["stopped", "failed", "step s0: broken; not reverted: s0"]);
        assert_eq!(followers(), expected);
        scene.session().query("select rework.retry_flow($1)", &[&flow]);
    }
    scene.end(&[(flow, 0)], "done", "1");
    assert_eq!(scene.state(flow), ["done", "done", ""]);
    assert_eq!(followers(), ["undo", "undo", "execute"]);
}

#[test]
fn what_ran_before_a_retry_is_no_round() {
    let scene = Scene::new();
    let flow = scene.start(&[scene.step(0, &[], &[1]), scene.step(1, &[0], &[])], None);
    scene.end(&[(flow, 0)], "done", "1");
    scene.end(&[(flow, 1)], "failed", "");
    scene.end(&[(flow, 1)], "done", "1");
    assert_eq!(scene.steps(flow), ["reverting", "reverted"]);
    scene.session().query("select rework.abort($1, revert => false)", &[&flow]);
    scene.session().query("select rework.retry_flow($1)", &[&flow]);
    scene.end(&[(flow, 0)], "done", "1");
    scene.end(&[(flow, 1)], "done", "1");
    assert_eq!(scene.state(flow), ["done", "done", ""]);
    let show = |view| scene.setup.rework(["show-task", &flow.to_string(), view]).run_ok().stdout();
    let events = show("--events");
    let expected =
        ["FLOW=RUNNING", "s0=RUNNING", "s0=SUCCESS", "s1=RUNNING", "s1=SUCCESS", "FLOW=SUCCESS"];
    assert_eq!(events.lines().collect::<Vec<_>>(), expected);
    let before = show("--steps").lines().filter(|line| line.contains("before a retry")).count();
    assert_eq!(before, 2);
}

#[test]
fn a_revert_gets_a_larger_input_than_a_step_may_have() {
    let scene = Scene::new();
    let large = "x".repeat(9 << 20);
    let mut first = scene.step(0, &[], &[1]);
    first["args"] = json!({"whole": [{"value": large}]});
    let flow = scene.start(&[first, scene.step(1, &[0], &[])], None);
    scene.end(&[(flow, 0)], "done", &json!(large).to_string());
    scene.end(&[(flow, 1)], "failed", "");
    scene.end(&[(flow, 1)], "done", "1");
    assert_eq!(scene.steps(flow), ["reverting", "reverted"]);
    let sql = "select octet_length(t.input::text) from rework.step s join rework.task t on t.id = s.undo_task
                where s.flow = $1 and s.number = 0";
    let bytes: i32 = scene.session().query_value(sql, &[&flow]);
    assert!(bytes > 18 << 20, "{bytes}");
}

#[test]
fn a_controller_whose_answer_cannot_be_read_reverts() {
    let scene = Scene::new();
    let sql = "select rework.decision($1::text::json) is null";
    for (answer, is_nothing) in
        [(UNREADABLE, true), (r#"{"decision": "retry"}"#, false), ("[1]", true), ("null", true)]
    {
        let found: bool = scene.session().query_value(sql, &[&answer]);
        assert_eq!(found, is_nothing, "{answer}");
    }
}

#[test]
fn a_run_that_returns_no_plan_fails() {
    let scene = Scene::new();
    let sql = "select rework.schedule('flow', domain => 'flows')";
    let flow: i64 = scene.session().query_value(sql, &[]);
    record(scene.session(), &claim_tasks(scene.session(), &[flow]), &["planned"], &[], &[None]);
    let sql = "select state::text || ': ' || reason from rework.task where id = $1";
    let state: String = scene.session().query_value(sql, &[&flow]);
    assert_eq!(state, "failed: it has returned no plan");
}
