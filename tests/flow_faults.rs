//! Flows that have no plan: their code fails, or returns something that cannot become one. And steps whose input cannot
//! be made. Each fault is said in a sentence, and nothing of the flow is left.

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::Installation;
use crate::support::task::Task;

/// Waits until a flow has failed before it had a plan, and returns its task.
#[track_caller]
fn wait_until_refused(setup: &Installation, flow: i64) -> Task {
    let task = setup.wait_until_ended(flow);
    assert_eq!(task.state, State::Failed, "{}", task.reason());
    let sql = "select (select count(*) from rework.flow where id = $1)
                    + (select count(*) from rework.scope where flow = $1)
                    + (select count(*) from rework.step where flow = $1)
                    + (select count(*) from rework.past where flow = $1)
                    + (select count(*) from rework.task where flow = $1)";
    let left: i64 = setup.session().query_value(sql, &[&flow]);
    assert_eq!(left, 0, "rows are left of a flow without a plan: {}", task.reason());
    task
}

/// Returns the item of a step that runs `traced`, with more keys.
fn step(name: &str, keys: Value) -> Value {
    let mut step = json!({"name": name, "operation": "traced", "inject": {"name": name}});
    let Value::Object(mut keys) = keys else { panic!("{keys} is no object") };
    step.as_object_mut().unwrap().append(&mut keys);
    json!({ "step": step })
}

fn pattern(kind: &str, items: &[Value]) -> Value {
    json!({"flow": {"pattern": kind, "name": "f", "items": items}})
}

fn need() -> Value {
    let keys = json!({"operation": "joined", "inject": {"name": "need"}, "rebind": {"y": "x"}});
    step("need", keys)
}

/// Returns a flow of this many nested patterns.
fn levels(count: usize) -> Value {
    (1..count).fold(pattern("linear", &[]), |inner, _| pattern("linear", &[inner]))
}

/// Descriptions, each with a part of what is said about it.
fn wrong_descriptions() -> Vec<(Value, &'static str)> {
    let provides = |name: &str, value: &str| step(name, json!({"provides": value}));
    let circle = [step("p", json!({"after": ["q"]})), step("q", json!({"after": ["p"]}))];
    let runs = |operation: &str| pattern("linear", &[step("s", json!({"operation": operation}))]);
    let mut unknown = pattern("linear", &[]);
    unknown["flow"]["colour"] = json!("red");
    let mut no_round = pattern("linear", &[]);
    no_round["flow"]["retry"] = json!({"kind": "times", "attempts": 0});
    let two = [provides("p1", "x"), provides("p2", "x"), need()];
    vec![
        (json!([]), "the flow's code returned a list, not a flow"),
        (json!(17), "the flow's code returned a number, not a flow"),
        (json!("flow"), "the flow's code returned a text, not a flow"),
        (json!({}), "the description of the flow is wrong: missing field `flow`"),
        (unknown, "the description of the flow is wrong: unknown field `colour`"),
        (
            pattern("circular", &[]),
            "the description of the flow is wrong: unknown variant `circular`",
        ),
        (
            pattern("graph", &two),
            "both `p1` and `p2` provide `x`, which `need` requires: rebind one",
        ),
        (pattern("graph", &circle), "in a circle: `p` → `q` → `p`"),
        (
            pattern("unordered", &[step("a", json!({})), step("a", json!({}))]),
            "two steps are called `a`",
        ),
        (
            pattern("linear", &[need(), provides("late", "x")]),
            "step `need` requires `x`, which nothing before it provides",
        ),
        (runs("tracd"), "step `s` runs `tracd`, which is not registered: did you mean `traced`?"),
        (runs("nowhere/traced"), "step `s` runs `nowhere/traced`, which is not registered"),
        (
            runs("ok3"),
            "step `s` runs `ok3`, which is a flow: flows within flows are not possible yet",
        ),
        (
            pattern("linear", &[step("s", json!({"revert": "undo"}))]),
            "step `s` is reverted by `undo`, which is not registered",
        ),
        (no_round, "the controller of `f` has 0 attempts: it needs 1 to 999,999,999"),
        (levels(17), "at most 16 levels of patterns, this flow has 17"),
    ]
}

/// Scenario JR-9.
#[test]
fn a_wrong_description_is_refused_with_a_reason_and_nothing_is_executed() {
    let setup = Installation::with_fixture();
    let wrong = wrong_descriptions();
    let trace = setup.folder().join("trace");
    let input = |description: &Value| json!({"description": description, "trace": trace});
    let inputs: Vec<Value> = wrong.iter().map(|(description, _)| input(description)).collect();
    let flows = setup.schedule_many("described", &inputs);
    let _monitor = setup.start_monitor(&[]);
    let mut faults = Vec::new();
    for (flow, (_, expected)) in flows.iter().zip(&wrong) {
        let task = wait_until_refused(&setup, *flow);
        assert_eq!((task.run, task.attempt), (1, 1), "tried again: {}", task.reason());
        assert_eq!(task.error["kind"], "plan", "{}", task.error);
        if !task.reason().starts_with(&format!("the flow cannot be made: {expected}")) {
            faults.push(format!("{}\n  instead of\n{expected}", task.reason()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(!trace.exists(), "a step was executed");
    let id = flows[0].to_string();
    setup.rework(["show-task", &id]).run_ok();
    for view in ["--events", "--steps"] {
        setup.rework(["show-task", &id, view]).run_expecting(1);
    }
}

#[test]
fn the_code_of_a_flow_that_does_not_return_a_flow_fails_with_a_reason() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    for (fault, expected) in [
        ("panics", "no plan"),
        ("exits", "exit code 3"),
        ("fails", "there is no quota"),
        ("returns_nothing", "the flow cannot be made: its code returned nothing, not a flow"),
        ("returns_bytes", "the flow cannot be made: its code returned bytes, not a flow"),
        ("returns_no_json", "JSON"),
        (
            "returns_too_many_steps",
            "the flow cannot be made: at most 20,000 steps, this flow has 20,001",
        ),
        ("returns_too_much", "MiB"),
    ] {
        let task = wait_until_refused(&setup, setup.schedule("faulty", json!(fault)));
        assert!(task.reason().contains(expected), "{fault}: {}", task.reason());
    }
    let task = wait_until_refused(&setup, setup.schedule_without_input("plans_too_slowly"));
    assert_eq!(task.reason(), "timed out after 500ms");
    // The worker has survived all this.
    setup.schedule_flow("ok3", json!({})).wait_until_done();
}

#[test]
fn a_flow_is_not_scheduled_with_a_wrong_input() {
    let setup = Installation::with_fixture();
    for (operation, input, expected) in [
        ("failb", "{\"trace\": \"t\", \"n\": 1}", "k"),
        ("failb", "{\"trace\": \"t\", \"k\": -1, \"n\": 1}", "k"),
        ("ok3", "{\"trace\": 17}", "trace"),
        ("ok3", "{\"trace\": ", "JSON"),
        ("ok4", "{\"trace\": \"t\"}", "operation `ok4` is not registered"),
    ] {
        let refused = setup.rework(["schedule", operation, "--input", input]).run();
        assert!(matches!(refused.code(), Some(1 | 2)), "{refused}");
        assert!(refused.stderr().contains(expected), "no `{expected}` in {refused}");
    }
    let sql = "select count(*) from rework.task";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 0);
}

#[test]
fn a_plan_is_shown_without_a_task_and_its_faults_are_told() {
    let setup = Installation::with_fixture();
    let plan = |operation: &str, input: &Value| {
        setup.rework(["schedule", operation, "--plan", "--input", &input.to_string()])
    };
    let shown = plan("failb", &json!({"trace": "t", "k": 1, "n": 3})).run_ok().stdout();
    for word in ["a", "b", "c", "traced"] {
        assert!(shown.contains(word), "no `{word}` in {shown}");
    }
    let wrong = json!({"trace": "t", "description": []});
    let refused = plan("described", &wrong).run_expecting(1);
    let expected = "the flow's code returned a list, not a flow";
    assert!(refused.stderr().contains(expected), "{refused}");
    let sql = "select count(*) from rework.task";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 0);
}

#[test]
fn a_step_whose_input_is_wrong_fails_and_the_flow_is_undone() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let first = || step("a", json!({"revert": "undo_traced", "provides": "v"}));
    for (keys, expected) in [
        (json!({"inject": {"name": 17}}), "name"),
        (json!({"inject": {}, "rebind": {"name": "v.absent"}}), "name"),
        (json!({"inject": null, "whole": "v"}), "input"),
    ] {
        let mut second = step("s", keys);
        second["step"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let flow = pattern("linear", &[first(), second]);
        let flow = setup.schedule_flow("described", json!({"description": flow}));
        let reason = flow.wait_until_reverted();
        assert!(reason.starts_with("step s: ") && reason.contains(expected), "{reason}");
        flow.assert_events("exec a, revert a");
    }
}

#[test]
fn an_input_that_is_too_large_is_refused_and_the_flow_is_undone() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let long = |name: &str, mebibytes: usize| {
        json!({"step": {"name": name, "operation": "long_text", "provides": name,
                        "inject": {"mebibytes": mebibytes}}})
    };
    let schedule = |mebibytes: usize| {
        let joined = json!({"operation": "joined", "inject": {"name": "j"}});
        let items = [
            step("a", json!({"revert": "undo_traced"})),
            long("x", mebibytes),
            long("y", mebibytes),
            step("j", joined),
        ];
        setup.schedule_flow("described", json!({"description": pattern("linear", &items)}))
    };
    let small = schedule(1);
    small.wait_until_done();
    small.assert_events("exec a, exec j");
    let large = schedule(9);
    assert_eq!(large.wait_until_reverted(), "step j: its input is larger than 16 MiB");
    large.assert_events("exec a, revert a");
}
