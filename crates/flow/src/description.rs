//! The description of a flow: the JSON that its code returns. `description/controller.rs` reads controllers.

mod controller;

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, MAX_DESCRIPTION_MIB};
use crate::json::Json;

/// The value that the code of a flow returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The outermost pattern.
    pub flow: Pattern,
    /// The output of the flow's task. `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
}

/// Some steps and patterns, and how they follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// How the items follow each other.
    #[serde(rename = "pattern")]
    pub kind: PatternKind,
    /// The name, for people, and for links to it.
    pub name: String,
    /// The controller, which decides after a failure. `None` if the pattern around this one decides; if there is none,
    /// everything is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Controller>,
    /// The steps and nested patterns.
    pub items: Vec<Item>,
    /// The order that is given explicitly. Only a graph has links.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// How the items of a pattern follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatternKind {
    /// One after the other.
    Linear,
    /// In no order. No item gets a value of another one.
    Unordered,
    /// An item follows those that provide what it requires, and those that links and `after` name.
    Graph,
}

/// A step or a nested pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Item {
    /// A step.
    Step(Step),
    /// A nested pattern.
    Flow(Pattern),
}

/// An edge of a graph: the item `to` follows the item `from`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The name of the first item.
    pub from: String,
    /// The name of the second item.
    pub to: String,
    /// The value (`name` or `name.path`) that must be true in the sense of [`is_truthy`](crate::values::is_truthy).
    /// Otherwise the second item is skipped. `None` for no condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<String>,
    /// The steps that are skipped together with the second item.
    #[serde(default, skip_serializing_if = "is_default")]
    pub depth: Depth,
}

/// The steps that are skipped together with a step whose condition is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// All steps that follow it, also indirectly.
    #[default]
    All,
    /// The steps of the same pattern that follow it.
    Flow,
    /// The steps that follow it directly.
    Neighbors,
    /// No other step.
    Atom,
}

/// A controller, which decides after a failure whether the steps of a pattern are undone and run again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Controller {
    /// The steps run up to `attempts` times. The value of the controller is the number of the round, from 1.
    Times {
        /// The number of rounds, at least 1.
        attempts: u32,
        /// Whether the whole flow is undone at once after the last round.
        revert_all: bool,
        /// The name of the value. `None` if no step may use it.
        provides: Option<String>,
    },
    /// There is a round for each value of a list. It is the value of the controller.
    ForEach {
        /// The list.
        values: Vec<Json>,
        /// Whether the whole flow is undone at once after the last round.
        revert_all: bool,
        /// The name of the value. `None` if no step may use it.
        provides: Option<String>,
    },
    /// Like [`Controller::ForEach`], with a list that is known only when the flow runs.
    ForEachOf {
        /// The list: `name` or `name.path`.
        from: String,
        /// Whether the whole flow is undone at once after the last round.
        revert_all: bool,
        /// The name of the value. `None` if no step may use it.
        provides: Option<String>,
    },
    /// The steps are not tried again. The pattern around this one decides.
    AlwaysRevert,
    /// The steps are not tried again. The whole flow is undone at once.
    AlwaysRevertAll,
    /// An operation decides, and gives the value of each round.
    Operation {
        /// The operation: `name` or `domain/name`.
        operation: String,
        /// The name of the value. `None` if no step may use it.
        provides: Option<String>,
    },
}

/// The kinds of controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControllerKind {
    /// See [`Controller::Times`].
    Times,
    /// See [`Controller::ForEach`].
    ForEach,
    /// See [`Controller::ForEachOf`].
    ForEachOf,
    /// See [`Controller::AlwaysRevert`].
    AlwaysRevert,
    /// See [`Controller::AlwaysRevertAll`].
    AlwaysRevertAll,
    /// See [`Controller::Operation`].
    Operation,
}

/// An operation that the flow runs once in each round.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The name, unique in the flow.
    pub name: String,
    /// The operation: `name` or `domain/name`.
    pub operation: String,
    /// The operation that undoes the step: `name` or `domain/name`. `None` if nothing has to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<String>,
    /// The source (`name` or `name.path`) of each argument. `None`: each property of the operation's input schema is an
    /// argument, whose source has the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<BTreeMap<String, String>>,
    /// The sources of single arguments, instead of those in `requires`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rebind: BTreeMap<String, String>,
    /// The values of single arguments, instead of any source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inject: BTreeMap<String, Json>,
    /// The source of the whole input, instead of arguments. `None` if the input is an object of arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
    /// The names under which other steps find the output. `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provides: Option<Provides>,
    /// The names of items of the same pattern that the step follows. Only in a graph.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The value (`name` or `name.path`) that must be true in the sense of [`is_truthy`](crate::values::is_truthy).
    /// Otherwise the step is skipped. `None` for no condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<String>,
    /// The steps that are skipped together with this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub depth: Depth,
    /// The consequence of a failure of the step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
}

/// The names of the output of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`provides` is a name, or an object of names and paths in the output"
)]
pub enum Provides {
    /// The name of the whole output.
    Whole(String),
    /// The names of parts of the output, each with the path of the part.
    Parts(BTreeMap<String, String>),
}

/// The output of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`returns` is a name, or an object whose values are names")]
pub enum Returns {
    /// The value with this name (`name` or `name.path`).
    Whole(String),
    /// An object of values: for each key the name of its value (`name` or `name.path`).
    Named(BTreeMap<String, String>),
}

/// The consequence of a failure of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The controllers around the step decide. If there is none, everything is undone.
    #[default]
    Revert,
    /// The flow continues as if the step were done. It provides nothing.
    Continue,
    /// Nothing more is started, and nothing is undone.
    Stop,
}

impl Description {
    /// Reads the output of the flow's code. `Err` if it is no description. Names and values are checked later, by
    /// [`compile`](crate::compile()).
    pub fn read(json: &str) -> Result<Description, Fault> {
        if json.len() > MAX_DESCRIPTION_MIB << 20 {
            return Err(Fault::TooLarge { mib: json.len().div_ceil(1 << 20) });
        }
        let what = match json.trim_start().chars().next() {
            Some('{') => return serde_json::from_str(json).map_err(|error| malformed(&error)),
            Some('[') => "a list",
            Some('"') => "a text",
            Some('n') => "null",
            Some('t' | 'f') => "a boolean",
            _ => "a number",
        };
        serde_json::from_str::<IgnoredAny>(json)
            .map_err(|error| Fault::NotJson(error.to_string()))?;
        Err(Fault::NotAFlow { what })
    }
}

/// Returns the fault of an object that is no description.
fn malformed(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        return Fault::TooManyLevels { levels: None };
    }
    match error.classify() {
        serde_json::error::Category::Data => Fault::Malformed(text),
        _ => Fault::NotJson(text),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(json: &str) -> String {
        Description::read(json).unwrap_err().to_string()
    }

    #[test]
    fn everything_but_names_has_a_default() {
        let text = r#"{"flow": {"pattern": "graph", "name": "server", "items": [
            {"step": {"name": "vm", "operation": "cloud/create_vm"}},
            {"flow": {"pattern": "unordered", "name": "parts", "items": []}}
        ]}}"#;
        let description = Description::read(text).unwrap();
        let step = Step {
            name: "vm".to_owned(),
            operation: "cloud/create_vm".to_owned(),
            ..Step::default()
        };
        assert_eq!(description.flow.kind, PatternKind::Graph);
        assert_eq!(description.flow.items[0], Item::Step(step));
        let written = serde_json::to_value(&description).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let text = json!({"flow": {"pattern": "graph", "name": "server",
            "retry": {"kind": "times", "attempts": 3, "revert_all": false, "provides": "round"},
            "items": [{"step": {"name": "vm", "operation": "create_vm", "revert": "delete_vm",
                "requires": {"size": "input.size"}, "rebind": {"zone": "zone"},
                "inject": {"gib": 10, "note": null}, "provides": {"vm": "", "ip": "net.0"},
                "after": ["parts"], "only_if": "ready", "depth": "neighbors",
                "on_failure": "continue"}},
                {"flow": {"pattern": "linear", "name": "parts", "items": [
                    {"step": {"name": "a", "operation": "a", "whole": "x", "provides": "a"}}]}}],
            "links": [{"from": "vm", "to": "parts", "only_if": "vm.ready", "depth": "atom"}]},
            "returns": {"vm": "vm", "ip": "vm.ip"}});
        let description = Description::read(&text.to_string()).unwrap();
        assert_eq!(serde_json::to_value(&description).unwrap(), text);
        let Item::Step(vm) = &description.flow.items[0] else { panic!("{description:?}") };
        assert_eq!(vm.inject["note"].text(), "null");
        assert_eq!(vm.on_failure, OnFailure::Continue);
        assert_eq!(description.flow.links[0].depth, Depth::Atom);
    }

    #[test]
    fn literal_values_keep_their_digits() {
        let text = r#"{"flow":{"pattern":"linear","name":"f",
            "retry":{"kind":"for_each","values":[1e400],"revert_all":false,"provides":null},
            "items":[{"step":{"name":"a","operation":"a",
            "inject":{"x":12345678901234567.25}}}]}}"#;
        let text: String = text.split_whitespace().collect();
        let description = Description::read(&text).unwrap();
        assert_eq!(serde_json::to_string(&description).unwrap(), text);
    }

    #[test]
    fn other_json_is_no_flow() {
        for (json, expected) in [
            ("[]", "the flow's code returned a list, not a flow"),
            (" null", "the flow's code returned null, not a flow"),
            ("\"a\"", "the flow's code returned a text, not a flow"),
            ("true", "the flow's code returned a boolean, not a flow"),
            ("-1", "the flow's code returned a number, not a flow"),
        ] {
            assert_eq!(fault(json), expected);
        }
        assert!(fault("").starts_with("the flow's code returned text that is no JSON: EOF"));
        assert!(fault("[1").starts_with("the flow's code returned text that is no JSON: EOF"));
        assert!(fault("{\"flow\"").starts_with("the flow's code returned text that is no JSON"));
    }

    #[test]
    fn a_wrong_key_or_type_is_named() {
        let step = |keys: &str| {
            format!(
                r#"{{"flow": {{"pattern": "linear", "name": "f", "items": [
                    {{"step": {{"name": "a", "operation": "a", {keys}}}}}]}}}}"#
            )
        };
        for (text, part) in [
            ("{}".to_owned(), "missing field `flow`"),
            (step(r#""onlyif": "x""#), "unknown field `onlyif`, expected one of `name`"),
            (step(r#""provides": 3"#), "`provides` is a name, or an object of names and paths"),
            (step(r#""on_failure": "ignore""#), "unknown variant `ignore`, expected one of"),
            (r#"{"flow": {"pattern": "line"}}"#.to_owned(), "unknown variant `line`"),
        ] {
            let fault = fault(&text);
            assert!(fault.starts_with("the description of the flow is wrong: "), "{fault}");
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_without_a_crash() {
        let open = r#"{"flow": {"pattern": "linear", "name": "f", "items": ["#;
        let expected = "at most 16 levels of patterns, this flow has more";
        assert_eq!(fault(&open.repeat(100_000)), expected);
    }
}
