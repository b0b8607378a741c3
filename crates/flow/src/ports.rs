//! [`Ports`]: the values that a step or pattern needs, and the values that it provides, by their names.

use std::collections::BTreeMap;

use rework_arguments::suggest::did_you_mean;

use crate::description::{Controller, Depth, Provides, Step};
use crate::fault::Fault;
use crate::json::Json;
use crate::names::{self, Reference};
use crate::operations::{Operation, Property};
use crate::tree::{Content, Node, Tree};
use crate::uses::Uses;

/// The values that a step, or a pattern with its controller, needs and provides. Those of the items of a pattern do not
/// count.
#[derive(Debug)]
pub(crate) struct Ports<'a> {
    /// The input of a step.
    pub(crate) input: Input<'a>,
    /// The value without which it is skipped, and what is skipped with it.
    pub(crate) condition: Option<(Reference<'a>, Depth)>,
    /// The list of values of a controller `for_each_of`.
    pub(crate) list: Option<Reference<'a>>,
    /// The names that others use for its output, each with the path in the output.
    pub(crate) provides: Vec<(&'a str, Vec<String>)>,
}

/// The input of a step.
#[derive(Debug, PartialEq)]
pub(crate) enum Input<'a> {
    /// It has none.
    Nothing,
    /// It is a value.
    Whole(Reference<'a>),
    /// It is an object of arguments.
    Named(BTreeMap<&'a str, Origin<'a>>),
}

/// Where an argument comes from.
#[derive(Debug, PartialEq)]
pub(crate) enum Origin<'a> {
    /// It is this value.
    Literal(&'a Json),
    /// Something must provide it.
    Required(Reference<'a>),
    /// It is left out if nothing provides it.
    Optional(Reference<'a>),
}

impl<'a> Ports<'a> {
    /// Returns the names of all values that it needs. A name may occur several times.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &'a str> {
        let mut references: Vec<&Reference<'a>> = Vec::new();
        match &self.input {
            Input::Nothing => {}
            Input::Whole(reference) => references.push(reference),
            Input::Named(arguments) => {
                references.extend(arguments.values().filter_map(|origin| match origin {
                    Origin::Literal(_) => None,
                    Origin::Required(reference) | Origin::Optional(reference) => Some(reference),
                }));
            }
        }
        references.extend(self.condition.iter().map(|(reference, _)| reference));
        references.extend(&self.list);
        let names: Vec<&'a str> = references.into_iter().map(|reference| reference.name).collect();
        names.into_iter()
    }
}

/// Returns the ports of each node.
pub(crate) fn ports<'a>(tree: &Tree<'a>, uses: &[Uses<'a>]) -> Result<Vec<Ports<'a>>, Fault> {
    tree.nodes.iter().zip(uses).map(|(node, uses)| ports_of(node, uses.operation)).collect()
}

fn ports_of<'a>(node: &Node<'a>, operation: Option<&'a Operation>) -> Result<Ports<'a>, Fault> {
    let condition = match node.condition {
        Some((value, depth)) => Some((Reference::read(value)?, depth)),
        None => None,
    };
    let mut ports = Ports { input: Input::Nothing, condition, list: None, provides: Vec::new() };
    match node.content {
        Content::Step(step) => {
            ports.input = input(step, operation)?;
            ports.provides = provides(step)?;
        }
        Content::Pattern(_) => {
            let controller = node.controller();
            if let Some(Controller::ForEachOf { from, .. }) = controller {
                ports.list = Some(Reference::read(from)?);
            }
            if let Some(name) = controller.and_then(Controller::provides) {
                names::check_value(name)?;
                ports.provides.push((name, Vec::new()));
            }
        }
    }
    Ok(ports)
}

/// Returns where the input of a step comes from.
fn input<'a>(step: &'a Step, operation: Option<&'a Operation>) -> Result<Input<'a>, Fault> {
    if let Some(whole) = &step.whole {
        if step.requires.is_some() || !step.rebind.is_empty() || !step.inject.is_empty() {
            return Err(Fault::WholeAndArguments { step: step.name.clone() });
        }
        return Ok(Input::Whole(Reference::read(whole)?));
    }
    let properties = operation.and_then(|operation| operation.properties.as_deref());
    let mut arguments = BTreeMap::new();
    match (&step.requires, properties) {
        (Some(requires), _) => insert_sources(&mut arguments, requires)?,
        (None, Some(properties)) => {
            for property in properties {
                let reference = Reference::plain(&property.name)?;
                let origin = if property.required {
                    Origin::Required(reference)
                } else {
                    Origin::Optional(reference)
                };
                arguments.insert(property.name.as_str(), origin);
            }
        }
        (None, None) => {}
    }
    if let (None, Some(properties)) = (&step.requires, properties) {
        refuse_unknown_arguments(step, properties)?;
    }
    insert_sources(&mut arguments, &step.rebind)?;
    for (name, value) in &step.inject {
        names::check_text("the name of an argument", name)?;
        arguments.insert(name, Origin::Literal(value));
    }
    if arguments.is_empty() && properties.is_none() {
        return Ok(Input::Nothing);
    }
    Ok(Input::Named(arguments))
}

/// Returns an error if a step sets an argument that is not a property of the input. It would have no effect.
fn refuse_unknown_arguments(step: &Step, properties: &[Property]) -> Result<(), Fault> {
    let known = || properties.iter().map(|property| property.name.as_str());
    let mut set = step.rebind.keys().chain(step.inject.keys());
    match set.find(|name| known().all(|property| property != name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Fault::UnknownArgument {
            step: step.name.clone(),
            name: name.clone(),
            operation: step.operation.clone(),
            suggestion: did_you_mean(name, known()),
        }),
    }
}

/// Adds arguments, each with the name of its source.
fn insert_sources<'a>(
    arguments: &mut BTreeMap<&'a str, Origin<'a>>,
    sources: &'a BTreeMap<String, String>,
) -> Result<(), Fault> {
    for (name, source) in sources {
        names::check_text("the name of an argument", name)?;
        arguments.insert(name, Origin::Required(Reference::read(source)?));
    }
    Ok(())
}

/// Returns the names of the output of a step, with their paths.
fn provides(step: &Step) -> Result<Vec<(&str, Vec<String>)>, Fault> {
    let mut provided = Vec::new();
    match &step.provides {
        None => {}
        Some(Provides::Whole(name)) => provided.push((name.as_str(), Vec::new())),
        Some(Provides::Parts(parts)) => {
            for (name, path) in parts {
                provided.push((name.as_str(), names::path(path)?));
            }
        }
    }
    for (name, _) in &provided {
        names::check_value(name)?;
    }
    Ok(provided)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sized() -> Operation {
        let property = |name: &str, required| Property { name: name.to_owned(), required };
        Operation {
            id: 1,
            domain: "default".to_owned(),
            name: "sized".to_owned(),
            properties: Some(vec![property("size", true), property("note.de", false)]),
            is_flow: false,
            is_registered: true,
        }
    }

    fn read(keys: &Value) -> Step {
        let mut step = json!({"name": "a", "operation": "sized"});
        for (key, value) in keys.as_object().unwrap() {
            step[key] = value.clone();
        }
        serde_json::from_value(step).unwrap()
    }

    /// The input of a step, with the kinds of its origins.
    fn described(keys: &Value, operation: Option<&Operation>) -> String {
        let step = read(keys);
        match input(&step, operation).unwrap() {
            Input::Nothing => "nothing".to_owned(),
            Input::Whole(reference) => format!("whole {}", shown(&reference)),
            Input::Named(arguments) => {
                let each = arguments.iter().map(|(name, origin)| match origin {
                    Origin::Literal(value) => format!("{name}={}", value.text()),
                    Origin::Required(reference) => format!("{name} from {}", shown(reference)),
                    Origin::Optional(reference) => {
                        format!("{name} perhaps from {}", shown(reference))
                    }
                });
                format!("[{}]", each.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn shown(reference: &Reference<'_>) -> String {
        format!("{}/{}", reference.name, reference.path.join("/"))
    }

    #[test]
    fn arguments_come_from_properties_or_requires() {
        let sized = sized();
        for (keys, expected) in [
            (json!({}), "[note.de perhaps from note.de/, size from size/]"),
            (json!({"requires": {}}), "[]"),
            (json!({"requires": {"size": "vm.size.0"}}), "[size from vm/size/0]"),
            (json!({"rebind": {"size": "gib"}}), "[note.de perhaps from note.de/, size from gib/]"),
            (
                json!({"rebind": {"size": "gib"}, "inject": {"size": 1, "note.de": null}}),
                "[note.de=null, size=1]",
            ),
            (json!({"whole": "vm.0"}), "whole vm/0"),
        ] {
            assert_eq!(described(&keys, Some(&sized)), expected, "{keys}");
        }
        let any = Operation { properties: None, ..sized };
        assert_eq!(described(&json!({}), Some(&any)), "nothing");
        assert_eq!(described(&json!({"inject": {"a": [1]}}), Some(&any)), "[a=[1]]");
    }

    #[test]
    fn an_argument_that_the_operation_does_not_have_is_refused() {
        for keys in [json!({"rebind": {"siez": "gib"}}), json!({"inject": {"siez": 1}})] {
            assert_eq!(
                input(&read(&keys), Some(&sized())).unwrap_err().to_string(),
                "step `a` sets the argument `siez`, which `sized` does not have: did you mean `size`?"
            );
        }
    }

    #[test]
    fn a_whole_input_has_no_single_arguments() {
        let step = read(&json!({"whole": "vm", "inject": {"a": 1}}));
        assert_eq!(
            input(&step, None).unwrap_err().to_string(),
            "step `a` has `whole`, and single arguments (`requires`, `rebind`, `inject`), too: \
             leave one of them out"
        );
    }

    #[test]
    fn an_output_has_names() {
        let step = read(&json!({"provides": {"ip": "net.0", "vm": ""}}));
        let net = vec!["net".to_owned(), "0".to_owned()];
        assert_eq!(provides(&step), Ok(vec![("ip", net), ("vm", vec![])]));
        assert_eq!(provides(&read(&json!({}))), Ok(vec![]));
        let dotted = read(&json!({"provides": "a.b"}));
        assert!(provides(&dotted).is_err());
    }
}
