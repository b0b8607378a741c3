//! The patterns, controllers and conditions of flows.

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::flow::TracedFlow;
use crate::support::installation::Installation;

/// Returns the item of a step that runs `traced`, with more keys.
fn step(name: &str, keys: &Value) -> Value {
    let mut step = json!({"name": name, "operation": "traced", "revert": "undo_traced",
                          "inject": {"name": name}});
    step.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({ "step": step })
}

/// Scenario JR-8.
#[test]
fn a_step_of_a_graph_runs_after_those_that_provide_what_it_requires() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = setup.schedule_flow("graph", json!({}));
    assert_eq!(flow.wait_until_done(), json!("pxpy"));
    let mut events = flow.events();
    assert_eq!(events.pop().unwrap(), "exec need");
    events.sort();
    assert_eq!(events, ["exec px", "exec py"]);

    let flow = setup.schedule_flow("graph_with_y", json!({"y": "of the input"}));
    assert_eq!(flow.wait_until_done(), json!("pxof the input"));
    flow.assert_events("exec px, exec need");

    let flow = setup.schedule_flow("graph", json!({"without_py": true}));
    let task = setup.wait_until_ended(flow.id);
    let expected = "step `need` requires `y`, which nothing before it provides";
    assert_eq!(task.state, State::Failed);
    assert!(task.reason().contains(expected), "{}", task.reason());
    flow.assert_events("");
}

/// Scenario JR-10.
#[test]
fn for_each_tries_one_value_after_the_other() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let effects = json!({"try": {"fails_for": ["bad", "worse"]}});
    for operation in ["for_each", "for_each_of"] {
        let schedule = |values: Value| {
            setup.schedule_flow(operation, json!({"values": values, "effects": effects}))
        };
        let third = schedule(json!(["bad", "bad", "good"]));
        let none = schedule(json!(["bad", "worse"]));
        let empty = schedule(json!([]));
        assert_eq!(third.wait_until_done(), json!("good"), "{operation}");
        third.assert_events("exec try, revert try, exec try, revert try, exec try");
        assert_eq!(none.wait_until_reverted(), "step try: try fails");
        none.assert_events("exec try, revert try, exec try, revert try");
        let reason = empty.wait_until_reverted();
        assert_eq!(reason, format!("the list of values of `{operation}` is empty"));
        empty.assert_events("");
    }
}

/// Scenario JR-11.
#[test]
fn an_inner_controller_starts_again_in_each_round_of_the_outer_one() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let flow = setup.schedule_flow("nested", json!({}));
    assert_eq!(flow.wait_until_reverted(), "step s2: s2 fails");
    let inner = "exec s1, exec s2, revert s2, revert s1";
    let outer = format!("exec a, {inner}, {inner}, revert a");
    flow.assert_events(&format!("{outer}, {outer}"));
}

#[test]
fn the_steps_of_a_pattern_without_a_controller_are_shown_with_the_round_around_them() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let inner = json!({"pattern": "unordered", "name": "y", "items": [step("s", &json!({}))]});
    let items = json!([{"flow": inner}, step("v", &json!({"inject": {"name": "v", "fails": 99}}))]);
    let outer = json!({"pattern": "linear", "name": "x", "items": items,
                       "retry": {"kind": "times", "attempts": 3}});
    let flow = setup.schedule_flow("described", json!({"description": {"flow": outer}}));
    flow.wait_until_reverted();
    let table = setup.rework(["show-task", &flow.id.to_string(), "--steps"]).run_ok().stdout();
    let of_s = table.lines().filter(|line| line.starts_with("s "));
    let rounds: Vec<&str> = of_s.filter_map(|line| line.split("round ").nth(1)?.get(..1)).collect();
    assert_eq!(rounds, ["1", "2"], "{table}");
}

#[test]
fn a_controller_with_code_gives_values_and_decides_who_decides_next() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let schedule = |controller: &str, effects: Value| {
        setup.schedule_flow("zones", json!({"controller": controller, "effects": effects}))
    };
    let hopeless = json!({"b": {"fails": 99}});
    let south = schedule("two_zones", json!({"b": {"fails_for": ["north"]}}));
    let outer_decides = schedule("two_zones", hopeless.clone());
    let all = schedule("two_zones_or_nothing", hopeless);
    let panics = schedule("panics_after_failure", json!({"b": {"fails": 1}}));
    assert_eq!(south.wait_until_done(), json!("south"));
    south.assert_events("exec a, exec b, revert b, exec b");
    // The tasks of the controller are shown, too.
    let id = south.id.to_string();
    let steps = setup.rework(["show-task", &id, "--steps"]).run_ok().stdout();
    let decided = steps.lines().filter(|line| line.contains("decided")).collect::<Vec<_>>();
    assert!(decided.len() == 1 && decided[0].starts_with("inner "), "{steps}");
    let steps = setup.rework(["show-task", &id, "--steps", "-o", "json"]).run_ok().json();
    assert!(steps["past"].as_array().unwrap().iter().any(|row| row["state"] == "decided"));
    let tree = setup.rework(["show-task", &id]).run_ok().stdout();
    assert!(tree.contains("round 1: b failed #"), "{tree}");
    let events = setup.rework(["show-task", &id, "--events"]).run_ok().stdout();
    assert!(events.contains("inner_retry=RETRYING"), "{events}");
    outer_decides.wait_until_reverted();
    let inner = "exec b, revert b, exec b, revert b";
    outer_decides.assert_events(&format!("exec a, {inner}, revert a, exec a, {inner}, revert a"));
    assert_eq!(all.wait_until_reverted(), "step b: b fails");
    all.assert_events(&format!("exec a, {inner}, revert a"));
    // A controller that gives no answer reverts.
    panics.wait_until_done();
    panics.assert_events("exec a, exec b, revert b, revert a, exec a, exec b");
}

#[test]
fn a_controller_that_gives_up_asks_the_one_around_it_unless_it_undoes_everything() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let schedule = |controller: Value| {
        let items = [step("b", &json!({"inject": {"name": "b", "fails": 2}}))];
        let mut inner = json!({"pattern": "linear", "name": "inner", "items": items});
        if !controller.is_null() {
            inner["retry"] = controller;
        }
        let items = json!([step("a", &json!({})), {"flow": inner}]);
        let outer = json!({"pattern": "linear", "name": "outer", "items": items,
                           "retry": {"kind": "times", "attempts": 3}});
        setup.schedule_flow("described", json!({"description": {"flow": outer}}))
    };
    let outer = "exec a, exec b, revert b, revert a";
    let requested = format!("{outer}, {outer}, exec a, exec b");
    let times =
        |revert_all: bool| json!({"kind": "times", "attempts": 1, "revert_all": revert_all});
    for (controller, state, expected) in [
        (json!(null), State::Done, requested.as_str()),
        (json!({"kind": "always_revert"}), State::Done, &requested),
        (times(false), State::Done, &requested),
        (times(true), State::Failed, outer),
        (json!({"kind": "always_revert_all"}), State::Failed, outer),
    ] {
        let flow = schedule(controller.clone());
        let task = setup.wait_until_ended(flow.id);
        assert_eq!(task.state, state, "{controller}: {}\n{}", task.reason(), flow.describe());
        flow.assert_events(expected);
    }
}

#[test]
fn links_order_a_graph_and_may_have_conditions() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let schedule = |on: Value| {
        let items = [
            step("last", &json!({})),
            step(
                "first",
                &json!({"inject": {"name": "first", "output": {"parts": [1, {"on": on}]}},
                                 "provides": {"switch": "parts.1"}}),
            ),
            step("maybe", &json!({})),
        ];
        let maybe = json!({"from": "first", "to": "maybe", "only_if": "switch.on",
                           "depth": "atom"});
        let links = json!([maybe,
                           {"from": "maybe", "to": "last"}]);
        let graph = json!({"pattern": "graph", "name": "g", "items": items, "links": links});
        setup.schedule_flow(
            "described",
            json!({"description": {"flow": graph, "returns": "switch.on"}}),
        )
    };
    let [on, off] = [true, false].map(|on| schedule(json!(on)));
    assert_eq!((on.wait_until_done(), off.wait_until_done()), (json!(true), json!(false)));
    on.assert_events("exec first, exec maybe, exec last");
    off.assert_events("exec first, exec last");
}

#[test]
fn a_step_whose_condition_is_false_is_skipped_with_what_follows_it() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let schedule = |on: Value, depth: &str| {
        setup.schedule_flow("conditional", json!({"switch": {"on": on}, "depth": depth}))
    };
    let expected = [
        (json!(true), "all", "a, b, c, d, e"),
        (json!([0]), "all", "a, b, c, d, e"),
        (json!(false), "all", "a"),
        (json!(0), "flow", "a, e"),
        (json!(""), "neighbors", "a, d, e"),
        (json!(null), "atom", "a, c, d, e"),
    ];
    let flows: Vec<TracedFlow<'_>> =
        expected.iter().map(|(on, depth, _)| schedule(on.clone(), depth)).collect();
    for (flow, (on, depth, executed)) in flows.iter().zip(&expected) {
        flow.wait_until_done();
        let events: Vec<String> = executed.split(", ").map(|step| format!("exec {step}")).collect();
        assert_eq!(flow.events(), events, "{on} {depth}\n{}", flow.describe());
        let skipped = flow.states().iter().filter(|state| state.ends_with(" skipped")).count();
        assert_eq!(skipped + events.len(), 5, "{on} {depth}: {:?}", flow.states());
    }
}

#[test]
fn a_skipped_step_is_not_undone() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let items = [
        step("a", &json!({"provides": "a", "inject": {"name": "a", "output": []}})),
        step("b", &json!({"only_if": "a", "depth": "atom"})),
        step("c", &json!({"inject": {"name": "c", "fails": 1}})),
    ];
    let flow = json!({"flow": {"pattern": "linear", "name": "f", "items": items}});
    let flow = setup.schedule_flow("described", json!({"description": flow}));
    assert_eq!(flow.wait_until_reverted(), "step c: c fails");
    flow.assert_events("exec a, exec c, revert c, revert a");
}

#[test]
fn steps_say_what_follows_their_failure() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&[]);
    let schedule = |on_failure: &str| {
        let effects = json!({"b": {"fails": 1}});
        setup.schedule_flow("lenient", json!({"on_failure": on_failure, "effects": effects}))
    };
    let [go_on, stop, revert] = ["continue", "stop", "revert"].map(schedule);
    go_on.wait_until_done();
    go_on.assert_events("exec a, exec b, exec c");
    assert_eq!(go_on.states(), ["a done", "b failed", "c done"]);
    let task = stop.wait_until_ended("stopped", State::Failed);
    assert_eq!(task.reason(), "step b: b fails; not reverted: a, b");
    stop.assert_events("exec a, exec b");
    assert_eq!(revert.wait_until_reverted(), "step b: b fails");
    revert.assert_events("exec a, exec b, revert b, revert a");
}

/// The steps of an unordered flow run at the same time. One that runs when another one fails may finish, and is undone.
#[test]
fn what_runs_when_another_step_fails_finishes_and_is_undone_and_what_waits_does_not_start() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--minworkers", "2", "--maxworkers", "2"]);
    let [fail, finish] = ["fail", "finish"].map(|name| setup.folder().join(name));
    let items = ["runs", "fails", "waits"].map(|name| step(name, &json!({})));
    let effects = json!({"runs": {"waits_for": finish}, "fails": {"waits_for": fail, "fails": 1},
                         "waits": {"waits_for": finish}});
    let flow = json!({"flow": {"pattern": "unordered", "name": "f", "items": items}});
    let flow = setup.schedule_flow("described", json!({"description": flow, "effects": effects}));
    flow.wait_for("exec runs", 1);
    flow.wait_for("exec fails", 1);
    std::fs::write(&fail, "").unwrap();
    flow.wait_for("revert fails", 1);
    assert_eq!(flow.phase(), "reverting");
    assert_eq!(flow.count("exec waits"), 0, "{}", flow.describe());
    std::fs::write(&finish, "").unwrap();
    assert_eq!(flow.wait_until_reverted(), "step fails: fails fails");
    assert_eq!((flow.count("revert runs"), flow.events().len()), (1, 4), "{}", flow.describe());
    let sql = "select reason from rework.task where flow = $1 and state = 'aborted'";
    let withdrawn: Vec<String> = setup.session().query_values(sql, &[&flow.id]);
    assert_eq!(withdrawn, ["withdrawn: step fails failed"]);
}
