//! Tests of what flows are described as.

use std::collections::BTreeMap;

use rework_flow::description::Description;
use serde_json::{Value, json};

use super::*;

fn described(flow: &Flow) -> Value {
    serde_json::to_value(flow.description().unwrap()).unwrap()
}

/// A map that cannot be written as JSON, because its keys are lists.
fn no_json() -> BTreeMap<[i32; 2], i32> {
    BTreeMap::from([([1, 2], 3)])
}

#[test]
fn a_flow_is_described_in_the_order_in_which_it_was_made() {
    let parts = Flow::unordered("parts")
        .add(Step::operation("create_vm").named("vm").provides("vm").revert("delete_vm"))
        .add(Step::operation("cloud/create_volume").provides_at([("disk", "id")]));
    let flow = Flow::linear("server").retry(Times(3)).add(parts).add(Step::operation("attach"));
    let expected = json!({"flow": {"pattern": "linear", "name": "server",
        "retry": {"kind": "times", "attempts": 3, "revert_all": false, "provides": null},
        "items": [
            {"flow": {"pattern": "unordered", "name": "parts", "items": [
                {"step": {"name": "vm", "operation": "create_vm", "revert": "delete_vm",
                          "provides": "vm"}},
                {"step": {"name": "create_volume", "operation": "cloud/create_volume",
                          "provides": {"disk": "id"}}}]}},
            {"step": {"name": "attach", "operation": "attach"}}]},
        "returns": "vm.id"});
    assert_eq!(described(&flow.returns("vm.id")), expected);
}

#[test]
fn every_setting_of_a_step_is_described() {
    let step = Step::operation("tell")
        .requires([("text", "message"), ("to", "user")])
        .rebind("to", "owner")
        .inject("gib", 3)
        .inject("tags", ["a", "b"])
        .whole("vm")
        .after(["vm", "volume"])
        .only_if("vm.ready")
        .depth(Depth::Flow)
        .on_failure(OnFailure::Continue);
    let expected = json!({"name": "tell", "operation": "tell",
        "requires": {"text": "message", "to": "user"}, "rebind": {"to": "owner"},
        "inject": {"gib": 3, "tags": ["a", "b"]}, "whole": "vm", "after": ["vm", "volume"],
        "only_if": "vm.ready", "depth": "flow", "on_failure": "continue"});
    let flow = described(&Flow::graph("f").add(step));
    assert_eq!(flow.pointer("/flow/items/0/step"), Some(&expected));
}

#[test]
fn links_and_an_object_as_output_are_described() {
    let flow = Flow::graph("f")
        .add(Step::operation("a"))
        .add(Step::operation("b"))
        .link("a", "b")
        .link_if("a", "b", "vm.ready", Depth::Atom)
        .returns_object([("server", "vm")]);
    let flow = described(&flow);
    let links = json!([{"from": "a", "to": "b"},
                       {"from": "a", "to": "b", "only_if": "vm.ready", "depth": "atom"}]);
    assert_eq!((&flow["flow"]["links"], &flow["returns"]), (&links, &json!({"server": "vm"})));
}

#[test]
fn a_value_that_is_no_json_makes_the_flow_fail() {
    let step = Step::operation("tell").inject("map", no_json()).inject("other", no_json());
    let flow = Flow::linear("outer").add(Flow::linear("inner").add(step));
    let error = flow.description().unwrap_err();
    assert_eq!(error.kind(), "output");
    let expected = "flow `outer` cannot be described: the value of `map` in step `tell` cannot be \
                    written as JSON: key must be a string";
    assert_eq!(error.message(), expected);
    let error = Flow::linear("f").retry(ForEach([no_json()])).description().unwrap_err();
    assert!(error.message().contains("a value of `ForEach`"), "{error}");
}

#[test]
fn only_the_outermost_flow_has_an_output() {
    let flow = Flow::linear("outer").add(Flow::linear("inner").returns("vm")).returns("vm");
    let message = flow.description().unwrap_err().message().to_owned();
    assert!(message.ends_with("the nested flow `inner` has `returns`: only the outermost one can"));
}

#[test]
fn the_output_of_the_function_is_the_description() {
    let made: Result<Flow, std::io::Error> = Ok(Flow::linear("f").add(Step::operation("a")));
    let output = made.outcome().unwrap().unwrap();
    assert!(!output.raw);
    let text = String::from_utf8(output.bytes).unwrap();
    assert_eq!(Description::read(&text).unwrap().flow.name, "f");
    assert_eq!(<Flow as FlowReturn>::describe(), (Form::Json, None));
    let failed: Result<Flow, std::io::Error> = Err(std::io::Error::other("no quota"));
    assert_eq!(failed.outcome().unwrap_err().message(), "no quota");
}
