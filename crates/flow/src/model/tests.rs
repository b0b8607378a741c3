//! Tests of the rules, each with a small flow.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{End, Event, Model, Phase, Work};
use crate::plan::Plan;
use crate::scene::{named, pattern, plan, step};

/// The operations of which no task can be made: none.
static NO_REFUSALS: BTreeMap<i64, String> = BTreeMap::new();

/// A step that can be undone.
fn undoable(name: &str) -> Value {
    step(json!({"name": name, "revert": "undo"}))
}

fn start(plan: &Plan) -> Model<'_> {
    Model::new(plan, &Value::Null, &NO_REFUSALS)
}

fn execute(plan: &Plan, name: &str) -> Work {
    Work::Execute(named(plan, name).number)
}

fn revert(plan: &Plan, name: &str) -> Work {
    Work::Revert(named(plan, name).number)
}

fn done(work: Work) -> (Work, End) {
    (work, End::Done(json!({"ok": true})))
}

fn failed(work: Work) -> (Work, End) {
    (work, End::Failed("exit code 3".to_owned()))
}

/// Lets tasks be claimed and end in one transaction. Returns the tasks that are open afterwards.
fn end(model: &mut Model<'_>, ends: &[(Work, End)]) -> Vec<Work> {
    for (work, _) in ends {
        assert!(model.tasks().contains_key(work), "{work:?} is not open: {model:?}");
        model.apply(&Event::Claimed(*work));
    }
    model.apply(&Event::Ended(ends.to_vec()));
    model.tasks().keys().copied().collect()
}

#[test]
fn steps_run_in_their_order_and_are_undone_in_the_opposite_one() {
    let plan = plan(&pattern("linear", "f", &[undoable("a"), undoable("b"), undoable("c")]));
    let mut model = start(&plan);
    let of = |name| execute(&plan, name);
    assert_eq!(end(&mut model, &[done(of("a"))]), [of("b")]);
    assert_eq!(end(&mut model, &[done(of("b"))]), [of("c")]);
    assert_eq!(end(&mut model, &[failed(of("c"))]), [revert(&plan, "c")]);
    let input = &model.tasks()[&revert(&plan, "c")].input;
    assert_eq!(input["failures"], json!({"c": "exit code 3"}));
    assert_eq!(end(&mut model, &[done(revert(&plan, "c"))]), [revert(&plan, "b")]);
    assert_eq!(end(&mut model, &[done(revert(&plan, "b"))]), [revert(&plan, "a")]);
    assert_eq!(end(&mut model, &[done(revert(&plan, "a"))]), []);
    assert_eq!((model.phase(), model.task_state()), (Phase::Reverted, "failed"));
}

#[test]
fn what_no_worker_has_is_withdrawn_and_what_runs_is_undone_later() {
    let items = ["a", "b", "c"].map(undoable);
    let plan = plan(&pattern("unordered", "f", &items));
    let mut model = start(&plan);
    model.apply(&Event::Claimed(execute(&plan, "b")));
    let open = end(&mut model, &[failed(execute(&plan, "a"))]);
    assert_eq!(open, [execute(&plan, "b"), revert(&plan, "a")], "c was withdrawn");
    let open = end(&mut model, &[done(execute(&plan, "b")), done(revert(&plan, "a"))]);
    assert_eq!(open, [revert(&plan, "b")]);
}

#[test]
fn a_scope_is_tried_again_until_its_controller_gives_up() {
    let mut inner = pattern("linear", "g", &[undoable("a")]);
    inner["flow"]["retry"] = json!({"kind": "times", "attempts": 2});
    let plan = plan(&pattern("linear", "f", &[inner, undoable("b")]));
    let mut model = start(&plan);
    for round in 1..=2 {
        assert_eq!(
            (model.scopes()[1].round, &model.scopes()[1].value),
            (round, &Some(json!(round)))
        );
        assert_eq!(end(&mut model, &[failed(execute(&plan, "a"))]), [revert(&plan, "a")]);
        end(&mut model, &[done(revert(&plan, "a"))]);
    }
    assert_eq!(model.phase(), Phase::Reverted);
    let mut model = start(&plan);
    end(&mut model, &[failed(execute(&plan, "a"))]);
    assert_eq!(end(&mut model, &[done(revert(&plan, "a"))]), [execute(&plan, "a")]);
    assert_eq!(end(&mut model, &[done(execute(&plan, "a"))]), [execute(&plan, "b")]);
    end(&mut model, &[done(execute(&plan, "b"))]);
    assert_eq!((model.phase(), model.task_state()), (Phase::Done, "done"));
}

#[test]
fn a_revert_that_fails_is_tried_again() {
    let plan = plan(&pattern("linear", "f", &[undoable("a")]));
    let mut model = start(&plan);
    end(&mut model, &[failed(execute(&plan, "a"))]);
    assert_eq!(end(&mut model, &[failed(revert(&plan, "a"))]), []);
    assert_eq!((model.phase(), model.task_state()), (Phase::RevertFailed, "waiting"));
    let parked = model.clone();
    model.apply(&Event::Retried { reverted: None });
    end(&mut model, &[done(revert(&plan, "a"))]);
    assert_eq!(model.phase(), Phase::Reverted);
    let mut model = parked;
    model.apply(&Event::Retried { reverted: Some(0) });
    assert_eq!(model.phase(), Phase::Reverted);
}

#[test]
fn an_abort_reverts_or_stops() {
    let plan = plan(&pattern("linear", "f", &[undoable("a"), undoable("b")]));
    let history = |revert| {
        vec![
            Event::Claimed(execute(&plan, "a")),
            Event::Ended(vec![done(execute(&plan, "a"))]),
            Event::Claimed(execute(&plan, "b")),
            Event::Aborted { revert },
            Event::Ended(vec![failed(execute(&plan, "b"))]),
        ]
    };
    let fold = |events: &[Event]| Model::fold(&plan, &Value::Null, &NO_REFUSALS, events);
    let model = fold(&history(true));
    assert_eq!((model.phase(), model.task_state()), (Phase::Reverting, "aborting"));
    assert!(model.tasks().contains_key(&revert(&plan, "b")));
    let model = fold(&history(false));
    assert_eq!((model.phase(), model.task_state()), (Phase::Stopped, "aborted"));
    let mut model = model;
    model.apply(&Event::Retried { reverted: None });
    assert_eq!(model.tasks().keys().copied().collect::<Vec<_>>(), [execute(&plan, "b")]);
}

#[test]
fn a_condition_skips_what_follows_as_deep_as_it_says() {
    // With the exit gates: of `g` in three cases, of `h` in the last one.
    for (depth, expected) in [("atom", 1), ("neighbors", 4), ("flow", 5), ("all", 7)] {
        let first = step(json!({"name": "a", "only_if": "no", "depth": depth}));
        let inner = pattern("linear", "g", &[step(json!({"name": "b"}))]);
        let nested = pattern("linear", "h", &[first, inner, step(json!({"name": "c"}))]);
        let mut flow = pattern("linear", "f", &[nested, step(json!({"name": "d"}))]);
        flow["flow"]["retry"] = json!({"kind": "for_each", "values": [false], "provides": "no"});
        let plan = plan(&flow);
        let mut model = start(&plan);
        while let Some(work) = model.tasks().keys().next().copied() {
            end(&mut model, &[done(work)]);
        }
        let count = model.steps().iter().filter(|step| step.state.name() == "skipped").count();
        assert_eq!((model.phase(), count), (Phase::Done, expected), "{depth}");
    }
}
