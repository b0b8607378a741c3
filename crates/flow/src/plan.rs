//! [`Plan`]: what the database needs to carry out a flow. Its JSON is what the worker sends; `None` has no key in it.

mod source;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::source::Source;
use crate::description::{ControllerKind, Depth, OnFailure, PatternKind};
use crate::json::Json;

/// The steps of a flow, with the edges between them and the sources of their arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whether the flow has one scope without a controller, a condition or a gate, and every failure reverts it.
    pub simple: bool,
    /// The sources of the flow's output. `None` if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<Arguments>,
    /// The number of steps that no other step follows. The flow is done when all of these are over.
    pub remaining: i32,
    /// The scopes by their numbers. Scope 0 is the whole flow.
    pub scopes: Vec<PlannedScope>,
    /// The steps by their numbers. A step has a greater number than those before it.
    pub steps: Vec<PlannedStep>,
}

/// A pattern with its controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedScope {
    /// The number.
    pub number: i32,
    /// The scope around this one. `None` for scope 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<i32>,
    /// The first of its steps. The steps of nested scopes and the gates count.
    pub first: i32,
    /// The last of its steps. It is less than `first` if there are none.
    pub last: i32,
    /// The name of the pattern.
    pub name: String,
    /// How the items of the pattern follow each other.
    pub pattern: PatternKind,
    /// The kind of the controller. `None` if the scope has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<ControllerKind>,
    /// The number of rounds, of a controller `times`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The values of the rounds, of a controller `for_each`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Json>>,
    /// The sources of the list of values, of a controller `for_each_of`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_from: Option<Vec<Source>>,
    /// The id of the operation that decides, of a controller `operation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<i64>,
    /// Whether the whole flow is undone at once when the controller gives up.
    pub revert_all: bool,
    /// The name of the controller's value. `None` if no step may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provides: Option<String>,
}

/// A step, or a gate of a scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The number.
    pub number: i32,
    /// The name of the step. That of a gate is the name of its scope followed by `enter` or `exit`.
    pub name: String,
    /// The number of the innermost scope that contains it. A gate is in its own scope.
    pub scope: i32,
    /// Whether it is a step or a gate.
    pub kind: StepKind,
    /// The id of the operation. `None` for a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<i64>,
    /// The id of the operation that undoes the step. `None` if nothing has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_operation: Option<i64>,
    /// The steps that it follows directly.
    pub before: Vec<i32>,
    /// The steps that follow it directly.
    pub after: Vec<i32>,
    /// The sources of its input. `None` if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Arguments>,
    /// The condition without which the step, or the scope of an entry gate, is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// The consequence of its failure.
    pub on_failure: OnFailure,
}

/// Whether a row of a plan is a step or a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// A step.
    Task,
    /// The gate before all other steps of a scope.
    Enter,
    /// The gate after all other steps of a scope.
    Exit,
}

/// The sources of an input or output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Arguments {
    /// The whole is the first of these values that exists; null if none does.
    #[serde(rename = "whole")]
    Whole(Vec<Source>),
    /// An object. Each property is the first of its values that exists, and is left out if none does.
    #[serde(rename = "args")]
    Named(BTreeMap<String, Vec<Source>>),
}

/// The condition that decides whether a step is skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The first of these values that exists must be true in the sense of [`is_truthy`](crate::values::is_truthy).
    pub sources: Vec<Source>,
    /// The steps that are skipped together with this one.
    pub depth: Depth,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let text = json!({
            "simple": false,
            "returns": {"whole": [{"step": 1, "path": []}]},
            "remaining": 1,
            "scopes": [{"number": 0, "first": 0, "last": 1, "name": "server",
                "pattern": "linear", "controller": "for_each", "values": [1, "a"],
                "revert_all": true, "provides": "zone"}],
            "steps": [
                {"number": 0, "name": "server enter", "scope": 0, "kind": "enter",
                    "before": [], "after": [1],
                    "on_failure": "revert"},
                {"number": 1, "name": "vm", "scope": 0, "kind": "task", "operation": 7,
                    "undo_operation": 8, "before": [0], "after": [],
                    "args": {"args": {"zone": [{"scope": 0, "path": ["id"]}, {"value": null}]}},
                    "condition": {"sources": [{"input": "go", "path": []}], "depth": "all"},
                    "on_failure": "continue"}]
        });
        let plan: Plan = serde_json::from_str(&text.to_string()).unwrap();
        assert_eq!(plan.steps[1].kind, StepKind::Task);
        assert_eq!(serde_json::to_value(&plan).unwrap(), text);
    }
}
