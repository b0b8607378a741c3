//! Tests of flows that run in this process.

use serde_json::json;

use super::*;
use crate::{Error, Flow, OnFailure, Step, Times};

fn fails(message: &'static str) -> impl FnMut(&Value) -> Result<Value, Error> {
    move |_| Err(Error::new("test", message))
}

fn step(name: &str) -> Step {
    Step::operation("other/program").named(name).revert("other/undo")
}

#[test]
fn values_are_passed_on_and_returned() {
    let flow = Flow::linear("f")
        .add(step("a").provides("x"))
        .add(step("b").requires([("n", "x.list.1"), ("m", "of_input")]).provides("y"))
        .returns("y");
    let end = flow
        .in_process(json!({"of_input": 4}))
        .output("a", json!({"list": [2, 3]}))
        .replace("b", |input| Ok(json!(input["n"].as_i64().zip(input["m"].as_i64()))))
        .run()
        .unwrap();
    assert_eq!((end.phase, end.output::<(i64, i64)>().unwrap()), (Phase::Done, (3, 4)));
    assert_eq!(end.events, ["a: done", "b: done"]);
    assert_eq!(end.reason, None);
    assert_eq!(end.output::<bool>().unwrap_err().kind(), "json");
}

#[test]
fn a_failure_undoes_the_round_and_the_next_one_follows() {
    let mut count = 0;
    let flow = Flow::linear("f").retry(Times(2)).add(step("a")).add(step("b"));
    let run = flow.in_process(()).output("a", 7).replace("b", move |_| {
        count += 1;
        if count == 1 { Err(Error::new("test", "once")) } else { Ok(Value::Null) }
    });
    let end = run
        .replace_revert("a", |undo| {
            assert_eq!(
                undo,
                &json!({"input": null, "result": 7, "error": null,
                                      "failures": {"b": "once"}})
            );
            Ok(Value::Null)
        })
        .replace_revert("b", |undo| {
            assert_eq!(undo["error"], json!({"kind": "test", "message": "once"}));
            Ok(Value::Null)
        })
        .run()
        .unwrap();
    assert_eq!(end.phase, Phase::Done);
    let expected =
        ["a: done", "b: failed: once", "b: reverted", "a: reverted", "a: done", "b: done"];
    assert_eq!(end.events, expected);
}

#[test]
fn a_revert_that_fails_ends_the_run() {
    let flow = Flow::linear("f").add(step("a")).add(step("b"));
    let run = flow.in_process(()).output("a", ()).replace("b", fails("broken"));
    let end = run.replace_revert("a", fails("locked")).run().unwrap();
    assert_eq!((end.phase, end.output), (Phase::RevertFailed, Value::Null));
    assert_eq!(end.reason.as_deref(), Some("revert of a failed: locked"));
    let expected = ["a: done", "b: failed: broken", "b: reverted", "a: revert failed: locked"];
    assert_eq!(end.events, expected);
}

#[test]
fn a_failure_can_stop_the_flow() {
    let flow = Flow::linear("f").add(step("a").on_failure(OnFailure::Stop)).add(step("b"));
    let run = flow.in_process(()).replace("a", fails("broken")).output("b", ());
    let end = run.run().unwrap();
    assert_eq!((end.phase, end.reason.as_deref()), (Phase::Stopped, Some("step a: broken")));
    assert_eq!(end.events, ["a: failed: broken"]);
}

#[test]
fn a_step_without_code_must_be_replaced() {
    let flow = Flow::linear("f").add(step("a"));
    let message = |run: InProcess| run.run().unwrap_err().message().to_owned();
    assert_eq!(
        message(flow.in_process(())),
        "step `a` names the operation `other/program`, which this program does not have: use \
         `.replace(\"a\", …)`"
    );
    assert_eq!(
        message(flow.in_process(()).output("a", ()).output("step", ())),
        "the flow has no step `step`"
    );
}

#[test]
fn a_wrong_plan_is_an_error() {
    let flow = Flow::linear("f").add(step("a")).add(step("a"));
    let error = flow.in_process(()).output("a", ()).run().unwrap_err();
    assert_eq!((error.kind(), error.message()), ("plan", "two steps are called `a`"));
}
