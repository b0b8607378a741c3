//! The `#[operation]` attribute of `rework`.
//!
//! It leaves the function as it is and registers it, with its limits and the schemas of its input
//! and output, in the program's table of operations. What it was given wrong is said here, while
//! the program is compiled, and not by the first task that runs.

#![warn(missing_docs)]

mod attributes;
mod expand;
mod quantity;
mod signature;

use proc_macro::TokenStream;

/// Makes a function an operation of this program.
///
/// The function is plain or `async`; it takes the task (`task: &Task`), the input (`input: T`), both
/// in this order, or nothing. After the task the input may be lent, as `&T`, `&str` or `&[T]`. `T` is
/// `serde::de::DeserializeOwned` and `schemars::JsonSchema`, or `rework::Bytes` for an input that is
/// no JSON. It returns a value that
/// is `serde::Serialize` and `schemars::JsonSchema`, or `rework::Bytes`, or a `Result` of such a
/// value and an error that is `Into<rework::Error>`. It stays callable under its name.
///
/// | key | value | if left out |
/// | --- | --- | --- |
/// | `name` | the operation's name | the function's |
/// | `domain` | its domain | `"default"` |
/// | `timeout` | a run may take so long: `"90s"`, `"5m"`, `"1h30m"`, `"PT5M"` | no limit |
/// | `memory` | its processes may take so much: `"512MiB"`, `"2GiB"` | no limit |
/// | `attempts` | how often a failing task is tried in all | `1` |
/// | `grace` | from being asked to end to being killed | `"3s"` |
/// | `retry_lost` | a task whose worker died is queued again | it ends `lost` |
/// | `priority` | of its tasks, where who schedules says none: higher goes first | `0` |
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
