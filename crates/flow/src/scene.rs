//! Descriptions and operations for tests.

use serde_json::{Value, json};

use crate::description::Description;
use crate::fault::Fault;
use crate::operations::{InputKeys, Operation, Operations, Property};
use crate::plan::{Plan, PlannedStep};

/// Returns a step as an item. Its operation is `any` unless `keys` has another one.
pub(crate) fn step(mut keys: Value) -> Value {
    if keys.get("operation").is_none() {
        keys["operation"] = json!("any");
    }
    Value::from_iter([("step", keys)])
}

/// Returns a pattern as an item.
pub(crate) fn pattern(kind: &str, name: &str, items: &[Value]) -> Value {
    json!({"flow": {"pattern": kind, "name": name, "items": items}})
}

/// Returns the operations of the tests: `any` takes any input, `sized` requires `size` and may have `note`, `moved`
/// requires `vm` and `disk`. `flow` is a flow. `undo` and `pick` are others.
pub(crate) fn operations() -> Operations {
    let property = |name: &str, required| Property { name: name.to_owned(), required };
    let sized = vec![property("size", true), property("note", false)];
    let moved = vec![property("vm", true), property("disk", true)];
    let of = |id, name: &str, properties| Operation {
        id,
        domain: "default".to_owned(),
        name: name.to_owned(),
        properties,
        is_flow: name == "flow",
        is_registered: true,
    };
    [
        of(1, "any", None),
        of(2, "sized", Some(sized)),
        of(3, "moved", Some(moved)),
        of(4, "flow", None),
        of(5, "undo", None),
        of(6, "pick", None),
    ]
    .into_iter()
    .collect()
}

/// Compiles a flow whose input may have any key, or has only some, and not the key `optional` that its schema declares.
pub(crate) fn compiled(flow: &Value, input_keys: Option<&[&str]>) -> Result<Plan, Fault> {
    let description = Description::read(&flow.to_string())?;
    let keys = input_keys.map(|keys| InputKeys {
        present: keys.iter().map(ToString::to_string).collect(),
        absent: vec!["optional".to_owned()],
    });
    crate::compile(&description, "default", keys.as_ref(), &operations())
}

/// Compiles a flow whose input has no key.
pub(crate) fn plan(flow: &Value) -> Plan {
    compiled(flow, Some(&[])).unwrap_or_else(|fault| panic!("{fault}"))
}

/// Returns why a flow whose input has no key has no plan.
pub(crate) fn fault(flow: &Value) -> String {
    match compiled(flow, Some(&[])) {
        Ok(plan) => panic!("{plan:?}"),
        Err(fault) => fault.to_string(),
    }
}

/// Returns the step of a plan with this name.
pub(crate) fn named<'a>(plan: &'a Plan, name: &str) -> &'a PlannedStep {
    plan.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name}"))
}

/// Returns the sources of an argument of a step, as JSON. Null if it has no such argument.
pub(crate) fn sources(plan: &Plan, step: &str, argument: &str) -> Value {
    let args = json!(named(plan, step).args);
    args["args"][argument].clone()
}
