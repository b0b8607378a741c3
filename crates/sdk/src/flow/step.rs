//! [`Step`]: a part of a flow, which runs an operation.

use rework_flow::Json;
use rework_flow::description::{Depth, Item, OnFailure, Provides, Step as Described};
use serde::Serialize;

use super::{Part, owned};

/// A part of a flow that runs an operation.
///
/// For a function with `#[step]`, `create_vm::step("vm")` makes a step. [`Step::operation`] makes one of any registered
/// operation, in any language.
///
/// # The input
///
/// Each property of the operation's input schema is an argument of the step. Its value is the first of these that there
/// is:
///
/// 1. what [`inject`](Step::inject) sets;
/// 2. what an earlier step [`provides`](Step::provides) under the name of the argument; of several such steps, the
///    nearest one in the flow or the flows around it;
/// 3. the property with this name in the input of the flow's task.
///
/// [`rebind`](Step::rebind) changes the name of one argument. [`requires`](Step::requires) replaces the list of
/// arguments, for operations without a schema. A name may lead into a value: `"vm.addresses.0"`.
///
/// ```
/// use rework::{Flow, OnFailure, Step};
///
/// let flow = Flow::linear("server")
///     .add(Step::operation("cloud/create_vm").provides("vm").revert("cloud/delete_vm"))
///     .add(Step::operation("cloud/create_volume").provides("disk").inject("gib", 100))
///     .add(Step::operation("cloud/attach").rebind("volume", "disk").only_if("vm.ready"))
///     .add(Step::operation("mail/notify").whole("vm").on_failure(OnFailure::Continue));
/// # assert!(flow.description().is_ok());
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Step {
    described: Described,
    /// The first value that cannot be described, and why.
    fault: Option<String>,
}

impl Step {
    /// Makes a step that runs a registered operation: `"cloud/create_vm"`, with its domain, or `"create_vm"`. Without a
    /// domain it is the operation in the flow's own domain, or in the only other domain that has one.
    ///
    /// The step has the name of the operation. Two steps of one flow cannot have the same name, see
    /// [`named`](Step::named).
    pub fn operation(operation: impl Into<String>) -> Step {
        let operation = operation.into();
        let name = operation.split_once('/').map_or(operation.as_str(), |(_, name)| name);
        let described = Described {
            name: name.to_owned(),
            operation: operation.clone(),
            ..Described::default()
        };
        Step { described, fault: None }
    }

    /// Sets the name of the step.
    pub fn named(mut self, name: impl Into<String>) -> Step {
        self.described.name = name.into();
        self
    }

    /// Gives the output of the step a name. Other steps require it by this name.
    pub fn provides(mut self, name: impl Into<String>) -> Step {
        self.described.provides = Some(Provides::Whole(name.into()));
        self
    }

    /// Gives parts of the output names: each name with the path of its part, such as `("address", "addresses.0")`.
    pub fn provides_at<N, P>(mut self, parts: impl IntoIterator<Item = (N, P)>) -> Step
    where
        N: Into<String>,
        P: Into<String>,
    {
        self.described.provides = Some(Provides::Parts(owned(parts)));
        self
    }

    /// Sets the arguments, each with the name of its value. Without this, they are the properties of the operation's
    /// input schema, each with its own name.
    pub fn requires<A, N>(mut self, arguments: impl IntoIterator<Item = (A, N)>) -> Step
    where
        A: Into<String>,
        N: Into<String>,
    {
        self.described.requires = Some(owned(arguments));
        self
    }

    /// Takes the value of one argument from another name than its own.
    pub fn rebind(mut self, argument: impl Into<String>, name: impl Into<String>) -> Step {
        self.described.rebind.insert(argument.into(), name.into());
        self
    }

    /// Sets the value of one argument. If it cannot be written as JSON, [`Flow::description`](crate::Flow::description)
    /// returns an error.
    pub fn inject(mut self, argument: impl Into<String>, value: impl Serialize) -> Step {
        let argument = argument.into();
        match Json::new(&value) {
            Ok(value) => {
                self.described.inject.insert(argument, value);
            }
            Err(error) => {
                let name = &self.described.name;
                self.fault.get_or_insert(format!(
                    "the value of `{argument}` in step `{name}` cannot be written as JSON: {error}"
                ));
            }
        }
        self
    }

    /// Makes the value with this name the whole input of the step, instead of an object of arguments.
    pub fn whole(mut self, name: impl Into<String>) -> Step {
        self.described.whole = Some(name.into());
        self
    }

    /// Lets the step wait for other steps and flows of the same [`graph`](crate::Flow::graph), even if it requires
    /// nothing of them.
    pub fn after<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Step {
        self.described.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// Skips the step, and what follows it, unless the value with this name is true. Null, `false`, 0, and empty texts,
    /// lists and objects do not count as true.
    pub fn only_if(mut self, name: impl Into<String>) -> Step {
        self.described.only_if = Some(name.into());
        self
    }

    /// Sets what is skipped together with the step, see [`only_if`](Step::only_if).
    pub fn depth(mut self, depth: Depth) -> Step {
        self.described.depth = depth;
        self
    }

    /// Sets what follows when the step fails. By default the steps that were done are undone.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Step {
        self.described.on_failure = on_failure;
        self
    }

    /// Sets the operation that undoes the step, named as in [`operation`](Step::operation). Its input is an
    /// [`Undo`](crate::Undo). A function with `#[step(revert = …)]` has set it already.
    pub fn revert(mut self, operation: impl Into<String>) -> Step {
        self.described.revert = Some(operation.into());
        self
    }
}

impl From<Step> for Part {
    fn from(Step { described, fault }: Step) -> Part {
        Part { item: Item::Step(described), fault }
    }
}
