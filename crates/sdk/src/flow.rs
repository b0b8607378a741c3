//! Flows: what the functions with `#[flow]`, `#[step]`, `#[revert]` and `#[controller]` take and return. This file has
//! [`Flow`], the plan of a flow; the files in `flow/` have its parts.

mod controller;
mod in_process;
mod retry;
mod step;
mod undo;

use std::collections::BTreeMap;

use rework_flow::description::{Item, Link, Pattern, PatternKind, Returns};
use rework_wire::operation::Form;
use rework_wire::runner::Failure as Failed;
use serde_json::Value;

pub use rework_flow::description::{Depth, Description, OnFailure};

pub use self::controller::{ControllerReturn, Decision, History, Round};
pub use self::in_process::{FlowEnd, InProcess, Phase};
pub use self::retry::{AlwaysRevert, AlwaysRevertAll, Controller, ForEach, ForEachOf, Times};
pub use self::step::Step;
pub use self::undo::{Failure, Reverts, Undo};
use crate::Error;
use crate::output::{Outcome, Output};

/// The plan of a task with steps, which a function with `#[flow]` returns.
///
/// Each step runs as a task of its own. If one fails, those that were done are undone, the last one first. Then the
/// flow is tried again, or its task fails: [`retry`](Flow::retry) decides. The plan is stored before the first step
/// runs. So the flow continues wherever it was, whichever process or host dies.
///
/// ```no_run
/// use rework::{Flow, Step, Times, Undo, flow, revert, step};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Server {
///     size: u32,
///     gib: u32,
/// }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Size {
///     size: u32,
/// }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Vm {
///     id: String,
/// }
///
/// #[step(timeout = "5m", revert = delete_vm)]
/// async fn create_vm(input: Size) -> anyhow::Result<Vm> {
///     Ok(Vm { id: format!("vm-{}", input.size) })
/// }
///
/// #[revert(attempts = 5)]
/// async fn delete_vm(undo: Undo<Size, Vm>) -> anyhow::Result<()> {
///     println!("deleting {}", undo.result.map_or("what there is".to_owned(), |vm| vm.id));
///     Ok(())
/// }
///
/// #[flow(domain = "cloud")]
/// fn make_server(input: Server) -> Flow {
///     let parts = Flow::unordered("parts")
///         .add(create_vm::step("vm").provides("vm"))
///         .add(Step::operation("create_volume").provides("disk").inject("gib", input.gib));
///     Flow::linear("server")
///         .retry(Times(3))
///         .add(parts)
///         .add(Step::operation("attach").rebind("volume", "disk"))
///         .returns("vm")
/// }
///
/// fn main() -> std::process::ExitCode {
///     rework::run()
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Flow {
    pattern: Pattern,
    returns: Option<Returns>,
    /// The first part that cannot be described, and why.
    fault: Option<String>,
}

impl Flow {
    /// Makes a flow whose steps and nested flows run one after the other.
    pub fn linear(name: impl Into<String>) -> Flow {
        Flow::new(PatternKind::Linear, name.into())
    }

    /// Makes a flow whose steps and nested flows run at the same time. None can require what another one provides.
    pub fn unordered(name: impl Into<String>) -> Flow {
        Flow::new(PatternKind::Unordered, name.into())
    }

    /// Makes a flow in which a step runs after those that provide what it requires. [`Step::after`] and
    /// [`link`](Flow::link) add to this order.
    pub fn graph(name: impl Into<String>) -> Flow {
        Flow::new(PatternKind::Graph, name.into())
    }

    /// Sets what follows when a step of the flow fails.
    pub fn retry(mut self, controller: impl Into<Controller>) -> Flow {
        let (described, fault) = controller.into().into_parts();
        self.pattern.retry = Some(described);
        self.add_fault(fault);
        self
    }

    /// Adds a step or a nested flow.
    #[expect(clippy::should_implement_trait, reason = "it adds a part, and no number")]
    pub fn add(mut self, part: impl Into<Part>) -> Flow {
        let Part { item, fault } = part.into();
        self.pattern.items.push(item);
        self.add_fault(fault);
        self
    }

    /// Lets the step or nested flow `to` run after `from`. Both are named, and in this flow, which is a
    /// [`graph`](Flow::graph).
    pub fn link(mut self, from: impl Into<String>, to: impl Into<String>) -> Flow {
        let (from, to) = (from.into(), to.into());
        self.pattern.links.push(Link { from, to, only_if: None, depth: Depth::default() });
        self
    }

    /// Does the same as [`link`](Flow::link), and skips `to` unless the value with this name is true, as
    /// [`Step::only_if`] does. `depth` is what is skipped together with it.
    pub fn link_if(
        mut self,
        from: impl Into<String>,
        to: impl Into<String>,
        name: impl Into<String>,
        depth: Depth,
    ) -> Flow {
        let (from, to, only_if) = (from.into(), to.into(), Some(name.into()));
        self.pattern.links.push(Link { from, to, only_if, depth });
        self
    }

    /// Makes the value with this name the output of the flow's task. Only the outermost flow has an output.
    pub fn returns(mut self, name: impl Into<String>) -> Flow {
        self.returns = Some(Returns::Whole(name.into()));
        self
    }

    /// Makes an object the output of the flow's task: each key with the name of its value.
    ///
    /// ```
    /// use rework::{Flow, Step};
    ///
    /// let flow = Flow::linear("server")
    ///     .add(Step::operation("create_vm").provides("vm"))
    ///     .returns_object([("server", "vm"), ("address", "vm.addresses.0")]);
    /// # assert!(flow.description().is_ok());
    /// ```
    pub fn returns_object<K, N>(mut self, values: impl IntoIterator<Item = (K, N)>) -> Flow
    where
        K: Into<String>,
        N: Into<String>,
    {
        self.returns = Some(Returns::Named(owned(values)));
        self
    }

    /// Returns the description of the flow, which is what its function sends to the worker.
    ///
    /// Whether the operations exist and the required values are provided is checked when the flow is scheduled and
    /// planned, not here.
    ///
    /// # Errors
    /// An error of kind `output` if a value in it cannot be written as JSON, or a nested flow has an output.
    pub fn description(&self) -> Result<Description, Error> {
        if let Some(fault) = &self.fault {
            let message = format!("flow `{}` cannot be described: {fault}", self.pattern.name);
            return Err(Error::with_kind(Failed::OUTPUT.into(), message));
        }
        Ok(Description { flow: self.pattern.clone(), returns: self.returns.clone() })
    }

    fn new(kind: PatternKind, name: String) -> Flow {
        let pattern = Pattern { kind, name, retry: None, items: Vec::new(), links: Vec::new() };
        Flow { pattern, returns: None, fault: None }
    }

    fn add_fault(&mut self, fault: Option<String>) {
        self.fault = self.fault.take().or(fault);
    }
}

/// The type that [`Flow::add`] takes: a [`Step`], or a nested [`Flow`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Part {
    item: Item,
    /// Why it cannot be described.
    fault: Option<String>,
}

impl From<Flow> for Part {
    fn from(Flow { pattern, returns, fault }: Flow) -> Part {
        let output = returns.map(|_| {
            format!("the nested flow `{}` has `returns`: only the outermost one can", pattern.name)
        });
        Part { item: Item::Flow(pattern), fault: fault.or(output) }
    }
}

/// Collects pairs of texts.
fn owned<K: Into<String>, V: Into<String>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// A type that the function of a flow can return: [`Flow`], or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "the function of a flow cannot return `{Self}`",
    note = "return `rework::Flow`, or a `Result` of it and an error that is `Into<rework::Error>`"
)]
pub trait FlowReturn {
    /// Returns the form of the output. There is no schema: the task of a flow returns what the flow returns in the end.
    fn describe() -> (Form, Option<Value>) {
        (Form::Json, None)
    }

    /// Converts the returned value to the result of the run.
    fn outcome(self) -> Outcome;
}

impl FlowReturn for Flow {
    fn outcome(self) -> Outcome {
        let bytes = serde_json::to_vec(&self.description()?)?;
        Ok(Some(Output { bytes, raw: false }))
    }
}

impl<E: Into<Error>> FlowReturn for Result<Flow, E> {
    fn outcome(self) -> Outcome {
        self.map_err(Into::into)?.outcome()
    }
}

#[cfg(test)]
mod tests;
