//! The roles of the functions that attributes make operations, and what differs between them.

use syn::{Type, TypeReference};

/// The purpose of an operation. Each role has an attribute of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Is scheduled by itself.
    Operation,
    /// Returns the plan of a flow.
    Flow,
    /// Is a step of flows.
    Step,
    /// Undoes a step.
    Revert,
    /// Decides what follows when a step fails.
    Controller,
}

impl Role {
    /// Returns the name of the attribute.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Role::Operation => "operation",
            Role::Flow => "flow",
            Role::Step => "step",
            Role::Revert => "revert",
            Role::Controller => "controller",
        }
    }

    /// Returns the role with its article, for messages.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Role::Operation => "an operation",
            Role::Flow => "a flow",
            Role::Step => "a step",
            Role::Revert => "a revert",
            Role::Controller => "a controller",
        }
    }

    /// Returns the usual parameters of the function.
    pub(crate) fn parameters(self) -> &'static str {
        match self {
            Role::Operation | Role::Flow | Role::Step => "(task: &Task, input: T)",
            Role::Revert => "(task: &Task, undo: Undo<I, R>)",
            Role::Controller => "(task: &Task, history: &History)",
        }
    }

    /// Returns whether a task whose worker died is queued again, unless the attribute says otherwise. The steps of a
    /// flow must bear it to be undone and done again, so by default they also bear a second run.
    pub(crate) fn retries_lost(self) -> bool {
        self != Role::Operation
    }

    /// Returns whether the only parameter of a function is the input although it is a reference. A function with
    /// `#[operation]` cannot borrow its input in this way: there, a single reference is the task.
    pub(crate) fn borrows_only_parameter(self, parameter: &TypeReference) -> bool {
        self != Role::Operation && !is_task(&parameter.elem)
    }
}

/// Returns whether a type is called `Task`, with or without a path before it.
fn is_task(named: &Type) -> bool {
    let Type::Path(named) = named else { return false };
    named.path.segments.last().is_some_and(|segment| segment.ident == "Task")
}
