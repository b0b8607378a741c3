//! The attributes of the crate `rework`, which re-exports them: `#[operation]`, and `#[flow]`, `#[step]`, `#[revert]`
//! and `#[controller]` for flows.
//!
//! An attribute leaves the function as it is, and adds an entry to the program's table of operations, with the limits
//! and the schemas of input and output. A wrong key or value is an error of the compiler, not of the first task that
//! runs. `role.rs` says what differs between the attributes, `attributes.rs` parses the keys, `signature.rs` the
//! function, and `expand.rs` generates the code. For flows, `companion.rs` adds a type with the name of the function.

#![warn(missing_docs)]

mod attributes;
mod companion;
mod expand;
mod quantity;
mod role;
mod signature;

use proc_macro::TokenStream;

use self::role::Role;

/// Makes a function an operation of this program. The function itself does not change and can still be called.
///
/// # The function
///
/// The function is plain or `async`. Its parameters are the task and the input (`task: &Task, input: T`), only one of
/// the two, or none. After the task the input may also be borrowed: `&T`, `&str` or `&[T]`.
///
/// The input type `T` is `serde::de::DeserializeOwned` and `schemars::JsonSchema`, or `rework::Bytes` for an input that
/// is not JSON. The function returns a value that is `serde::Serialize` and `schemars::JsonSchema`, or `rework::Bytes`,
/// or a `Result` of such a value and an error that is `Into<rework::Error>`.
///
/// # Keys
///
/// | key | value | default |
/// | --- | --- | --- |
/// | `name` | name of the operation | the name of the function |
/// | `domain` | domain of the operation | `"default"` |
/// | `timeout` | longest duration of a run: `"90s"`, `"5m"`, `"1h30m"`, `"PT5M"` | no limit |
/// | `memory` | most memory of all processes of a run: `"512MiB"`, `"2GiB"` | no limit |
/// | `attempts` | number of attempts of a task that fails, including the first | `1` |
/// | `grace` | time between the request to end and the kill | `"3s"` |
/// | `retry_lost` | whether a task is queued again if its worker died | `false`: the task ends as `lost` |
/// | `priority` | priority of tasks that are scheduled without one; higher ones are claimed first | `0` |
/// | `retry` | retry policy: `retry = "once"`, `retry(attempts = 5, first = "10s")` | pauses of 1 s, 2 s, 4 s, … |
/// | `available` | path of a function that answers whether this host can run the operation now | always available |
/// | `run_after` | operations of which a task follows each `done` task: `"publish"`, or `["publish", "tell"]` | none |
/// | `run_before` | operations of which a task is scheduled with each task, which waits for their ends | none |
/// | `on_failure` | operations of which a task follows each task that failed or was lost | none |
///
/// The function of `available` takes nothing. It returns `bool`, or a `Result` of `()` or `bool` whose error says why
/// the operation is not available. While it is not, tasks of the operation stay queued, and other hosts run them.
///
/// # Errors
///
/// A wrong key, value or parameter is a compile error. Two operations with the same name in one domain are refused when
/// the program starts.
///
/// # Example
///
/// ```text
/// #[operation(domain = "images", timeout = "5m", memory = "2GiB", attempts = 3, retry_lost)]
/// async fn resize(task: &Task, input: Resize) -> anyhow::Result<Thumbnail> {
///     …
/// }
/// ```
#[proc_macro_attribute]
pub fn operation(attributes: TokenStream, function: TokenStream) -> TokenStream {
    expand::operation(Role::Operation, attributes.into(), function.into()).into()
}

/// Makes a function a flow: an operation whose function returns the plan of a flow. The worker then runs the steps of
/// the plan, and the function is not called again.
///
/// The function takes what the function of an [`macro@operation`] takes, or only the input by reference (`&T`). The
/// keys are the same. `retry_lost` is `true` by default. Limits such as `timeout` concern only the run that makes the
/// plan. The function returns `rework::Flow`, or a `Result` of it and an error that is `Into<rework::Error>`. It should
/// only describe the flow: what it does itself is not undone.
///
/// The constant `NAME` of a type with the name of the function has domain and name of the operation.
///
/// # Example
///
/// ```text
/// #[flow(domain = "cloud")]
/// fn make_server(input: Server) -> Flow {
///     Flow::linear("server")
///         .retry(Times(3))
///         .add(create_vm::step("vm").provides("vm"))
///         .add(attach::step("attach"))
///         .returns("vm")
/// }
/// ```
#[proc_macro_attribute]
pub fn flow(attributes: TokenStream, function: TokenStream) -> TokenStream {
    expand::operation(Role::Flow, attributes.into(), function.into()).into()
}

/// Makes a function an operation that is a step of flows.
///
/// The function and the keys are those of an [`macro@operation`], with three differences. The function may take only
/// the input by reference (`&T`). `retry_lost` is `true` by default: a step whose worker died is run again, so it must
/// bear that a run ended anywhere. And the key `revert` has the path of a function with the attribute
/// [`macro@revert`], which undoes the step.
///
/// The function `step` of a type with the name of the function makes the step of a flow: `create_vm::step("vm")`. The
/// constant `NAME` of the type has domain and name of the operation.
///
/// # Example
///
/// ```text
/// #[step(timeout = "5m", revert = delete_vm)]
/// async fn create_vm(input: Size) -> anyhow::Result<Vm> {
///     …
/// }
/// ```
#[proc_macro_attribute]
pub fn step(attributes: TokenStream, function: TokenStream) -> TokenStream {
    expand::operation(Role::Step, attributes.into(), function.into()).into()
}

/// Makes a function an operation that undoes a step. The key `revert` of [`macro@step`] names it.
///
/// The function takes `rework::Undo<I, R>`, also by reference, where `I` is the input of the step and `R` its output.
/// The keys are those of an [`macro@operation`]; `retry_lost` is `true` by default. What the function returns is
/// recorded, and not used.
///
/// A revert also runs after a step that failed, and may run twice. So it must succeed if there is nothing to undo.
///
/// # Example
///
/// ```text
/// #[revert(attempts = 5)]
/// async fn delete_vm(undo: Undo<Size, Vm>) -> anyhow::Result<()> {
///     …
/// }
/// ```
#[proc_macro_attribute]
pub fn revert(attributes: TokenStream, function: TokenStream) -> TokenStream {
    expand::operation(Role::Revert, attributes.into(), function.into()).into()
}

/// Makes a function an operation that decides what follows when a step of a flow fails.
///
/// The function takes `rework::History`, also by reference. It returns `rework::Decision`, or a `Result` of it and an
/// error that is `Into<rework::Error>`. The keys are those of an [`macro@operation`]; `retry_lost` is `true` by
/// default.
///
/// The function `controller` of a type with the name of the function makes the controller of a flow:
/// `Flow::linear("server").retry(pick::controller())`.
///
/// # Example
///
/// ```text
/// #[controller]
/// fn pick(history: &History) -> Decision {
///     …
/// }
/// ```
#[proc_macro_attribute]
pub fn controller(attributes: TokenStream, function: TokenStream) -> TokenStream {
    expand::operation(Role::Controller, attributes.into(), function.into()).into()
}
