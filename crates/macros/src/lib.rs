//! The `#[operation]` attribute of the crate `rework`, which re-exports it.
//!
//! The attribute leaves the function as it is, and adds an entry to the program's table of operations, with the limits
//! and the schemas of input and output. A wrong key or value is an error of the compiler, not of the first task that
//! runs. `attributes.rs` parses the keys, `signature.rs` the function, and `expand.rs` generates the code.

#![warn(missing_docs)]

mod attributes;
mod expand;
mod quantity;
mod signature;

use proc_macro::TokenStream;

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
    expand::operation(attributes.into(), function.into()).into()
}
