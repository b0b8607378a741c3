//! [`InProcess`]: runs a flow in this process, without a database, for the tests of its author.
//!
//! `in_process/program.rs` finds the operations of the steps, `in_process/engine.rs` runs them in the order of the rules
//! of flows.

mod engine;
mod program;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use rework_flow::model::Phase;
use rework_flow::operations::InputKeys;
use rework_wire::operation::DEFAULT_DOMAIN;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::engine::Engine;
use self::program::Program;
use super::{Description, Flow};
use crate::Error;
use crate::task::State;

/// A function that runs instead of a step or a revert. It gets the input, and returns the output.
type Replacement = Box<dyn FnMut(&Value) -> Result<Value, Error>>;

/// A run of a flow in this process, without a database, which [`Flow::in_process`] prepares.
///
/// Steps and reverts run one after the other, with the rules, values and controllers that a flow in the database has.
/// Each has a single attempt, without limits of time and memory: retry policies and limits are those of the database. A
/// step of an operation that this program does not have must be replaced.
///
/// ```standalone_crate
/// use rework::{Error, Flow, Phase, Step, Undo, flow, revert, step};
/// use serde_json::json;
///
/// #[flow]
/// fn greet(name: &String) -> Flow {
///     Flow::linear("greet")
///         .add(compose::step("compose").inject("name", name).provides("text"))
///         .add(Step::operation("mail/send").named("send").requires([("text", "text")]))
/// }
///
/// #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// struct Person {
///     name: String,
/// }
///
/// #[step(revert = forget)]
/// fn compose(person: Person) -> String {
///     format!("hello {}", person.name)
/// }
///
/// #[revert]
/// fn forget(undo: Undo<Person, String>) {
///     println!("nobody greets {}", undo.input.name);
/// }
///
/// fn main() -> rework::Result<()> {
///     let flow = greet(&"Ada".into());
///
///     let end = flow.in_process(()).output("send", true).run()?;
///     assert_eq!(end.phase, Phase::Done);
///
///     let end = flow
///         .in_process(())
///         .replace("send", |input| {
///             assert_eq!(input["text"], "hello Ada");
///             Err(Error::new("mail", "the server is down"))
///         })
///         .run()?;
///     assert_eq!(end.phase, Phase::Reverted);
///     assert_eq!(end.reason.as_deref(), Some("step send: the server is down"));
///     let expected = ["compose: done", "send: failed: the server is down", "compose: reverted"];
///     assert_eq!(end.events, expected);
///     Ok(())
/// }
/// ```
#[must_use = "nothing runs before `run`"]
pub struct InProcess {
    description: Result<Description, Error>,
    input: Result<Value, Error>,
    domain: String,
    steps: BTreeMap<String, Replacement>,
    reverts: BTreeMap<String, Replacement>,
    state: State,
}

/// The end of a flow that [`InProcess::run`] has run.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowEnd {
    /// How it ended: `Done`, `Reverted`, `RevertFailed` or `Stopped`.
    pub phase: Phase,
    /// Why it did not end as `Done`, as `rework show-task` shows it. `None` if it did.
    pub reason: Option<String>,
    /// The output of the flow. Null if it has none.
    pub output: Value,
    /// Everything that ran, in this order: `vm: done`, `attach: failed: no permission`, `vm: reverted`, `vm: revert
    /// failed: no permission`, or `server: retry` for an answer of a controller of your own.
    pub events: Vec<String>,
}

impl FlowEnd {
    /// Reads the output of the flow as a value of this type.
    ///
    /// # Errors
    /// An error of kind `json` if the output is no such value.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_value(self.output.clone())?)
    }
}

impl Flow {
    /// Prepares a run of the flow in this process, without a database, for a test. The input is that of the flow's task,
    /// where steps find values by the names of its properties.
    pub fn in_process(&self, input: impl Serialize) -> InProcess {
        InProcess {
            description: self.description(),
            input: serde_json::to_value(input).map_err(Error::from),
            domain: DEFAULT_DOMAIN.to_owned(),
            steps: BTreeMap::new(),
            reverts: BTreeMap::new(),
            state: State::new(),
        }
    }
}

impl InProcess {
    /// Sets the domain of the flow: that in which operations without a domain are searched first.
    pub fn domain(mut self, domain: impl Into<String>) -> InProcess {
        self.domain = domain.into();
        self
    }

    /// Adds a value that all operations share, as [`Runner::state`](crate::Runner::state) does.
    pub fn state<T: Any + Send + Sync>(mut self, value: T) -> InProcess {
        self.state.insert(value.type_id(), Box::new(value));
        self
    }

    /// Replaces a step by a value: the step is done at once, and this is its output. Its revert does nothing, unless
    /// [`replace_revert`](InProcess::replace_revert) says otherwise.
    pub fn output(self, step: impl Into<String>, value: impl Serialize) -> InProcess {
        let value = serde_json::to_value(value).map_err(Error::from);
        self.replace(step, move |_| value.clone())
    }

    /// Replaces a step by a function of its input, which is called in each round. Its revert does nothing, unless
    /// [`replace_revert`](InProcess::replace_revert) says otherwise.
    pub fn replace<F>(mut self, step: impl Into<String>, function: F) -> InProcess
    where
        F: FnMut(&Value) -> Result<Value, Error> + 'static,
    {
        self.steps.insert(step.into(), Box::new(function));
        self
    }

    /// Replaces the revert of a step by a function of its input, the JSON of an [`Undo`](crate::Undo). The value that it
    /// returns is not used.
    pub fn replace_revert<F>(mut self, step: impl Into<String>, function: F) -> InProcess
    where
        F: FnMut(&Value) -> Result<Value, Error> + 'static,
    {
        self.reverts.insert(step.into(), Box::new(function));
        self
    }

    /// Runs the flow to its end, or until a revert has failed.
    ///
    /// # Errors
    /// An error of kind `plan` if the flow cannot be made, with the reason that its task would have. An error of kind
    /// `load` if a step that was not replaced needs an operation of another program, or if this is called within
    /// `async` code. That a step fails is no error: see [`FlowEnd::phase`].
    pub fn run(self) -> Result<FlowEnd, Error> {
        let (description, input) = (self.description?, self.input?);
        let keys = InputKeys::new(&input.to_string(), None);
        let program = Program::new(&description, &self.domain, &self.steps, &self.reverts)?;
        let plan = rework_flow::compile(&description, &self.domain, Some(&keys), program.known())
            .map_err(|fault| Error::new("plan", fault.to_string()))?;
        Engine::new(program, self.steps, self.reverts, Arc::new(self.state)).run(&plan, &input)
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess")
            .field("description", &self.description)
            .field("input", &self.input)
            .field("domain", &self.domain)
            .field("steps", &self.steps.keys())
            .field("reverts", &self.reverts.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
