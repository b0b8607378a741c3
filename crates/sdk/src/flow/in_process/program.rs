//! [`Program`]: the operations that a flow in this process can use: those of the program, and those that are replaced.

use std::collections::{BTreeMap, HashMap};

use rework_arguments::suggest::did_you_mean;
use rework_flow::description::{Description, Item, Pattern, Step};
use rework_flow::operations::{Operation as Known, Operations as KnownOperations, properties};
use rework_wire::runner::Failure;

use super::Replacement;
use crate::Error;
use crate::execution::Executor;
use crate::operation::{Operation, Operations};

/// The operations that a flow in this process can use.
#[derive(Debug)]
pub(super) struct Program {
    executor: Executor,
    known: KnownOperations,
    /// The operations of the program, by the ids that `known` gives them.
    own: HashMap<i64, &'static Operation>,
}

impl Program {
    /// Collects the operations of this program, and those that replaced steps name. `Err` if a step needs an operation
    /// that is neither, or if a replacement is of no step.
    pub(super) fn new(
        description: &Description,
        domain: &str,
        replaced_steps: &BTreeMap<String, Replacement>,
        replaced_reverts: &BTreeMap<String, Replacement>,
    ) -> Result<Program, Error> {
        let operations = Operations::of_this_program().map_err(load)?;
        let own: HashMap<i64, &'static Operation> = (1..).zip(operations.iter()).collect();
        let mut known: Vec<Known> = own.iter().map(|(id, operation)| of(*id, operation)).collect();
        let found = KnownOperations::from_iter(known.clone());
        let steps = steps_of(&description.flow);
        for replaced in replaced_steps.keys().chain(replaced_reverts.keys()) {
            refuse_unknown(replaced, &steps)?;
        }
        for step in steps {
            let is_replaced = replaced_steps.contains_key(&step.name);
            let is_undone_otherwise = is_replaced || replaced_reverts.contains_key(&step.name);
            for (text, is_unused, function) in [
                (Some(&step.operation), is_replaced, "replace"),
                (step.revert.as_ref(), is_undone_otherwise, "replace_revert"),
            ] {
                let Some(text) = text.filter(|text| !found.contains(text, domain)) else {
                    continue;
                };
                if !is_unused {
                    let name = &step.name;
                    return Err(load(format!(
                        "step `{name}` names the operation `{text}`, which this program does not \
                         have: use `.{function}(\"{name}\", …)`"
                    )));
                }
                known.push(absent(known.len() as i64 + 1, text, domain));
            }
        }
        Ok(Program { executor: Executor::new(operations), known: known.into_iter().collect(), own })
    }

    /// Returns the operations for the compiler of plans.
    pub(super) fn known(&self) -> &KnownOperations {
        &self.known
    }

    /// Returns what runs the operations of the program.
    pub(super) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Returns the operation of the program with an id. `None` if the program does not have it.
    pub(super) fn operation(&self, id: i64) -> Option<&'static Operation> {
        self.own.get(&id).copied()
    }
}

/// Returns all steps of a pattern, also those of the patterns in it.
fn steps_of(pattern: &Pattern) -> Vec<&Step> {
    let (mut steps, mut patterns) = (Vec::new(), vec![pattern]);
    while let Some(pattern) = patterns.pop() {
        for item in &pattern.items {
            match item {
                Item::Flow(nested) => patterns.push(nested),
                Item::Step(step) => steps.push(step),
            }
        }
    }
    steps
}

/// Returns an error if no step has this name.
fn refuse_unknown(name: &str, steps: &[&Step]) -> Result<(), Error> {
    let names = || steps.iter().map(|step| step.name.as_str());
    if names().any(|step| step == name) {
        return Ok(());
    }
    Err(load(format!("the flow has no step `{name}`{}", did_you_mean(name, names()))))
}

/// Describes an operation of the program.
fn of(id: i64, operation: &Operation) -> Known {
    Known {
        id,
        domain: operation.domain.to_owned(),
        name: operation.name.to_owned(),
        properties: properties(operation.input.and_then(|schema| schema()).as_ref()),
        is_flow: operation.is_flow,
        is_registered: true,
    }
}

/// Describes an operation that a replaced step names. The properties of its input are not known.
fn absent(id: i64, text: &str, own_domain: &str) -> Known {
    let (domain, name) = text.split_once('/').unwrap_or((own_domain, text));
    Known {
        id,
        domain: domain.to_owned(),
        name: name.to_owned(),
        properties: None,
        is_flow: false,
        is_registered: true,
    }
}

fn load(message: String) -> Error {
    Error::with_kind(Failure::LOAD.into(), message)
}
