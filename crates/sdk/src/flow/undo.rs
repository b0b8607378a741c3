//! [`Undo`]: the input of the function that undoes a step.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The facts about a step that a function with `#[revert]` gets to undo it. `I` is the input of the step, and `R` its
/// output.
///
/// A step is also undone if it failed, because it may have done a part of its work. So find out from the input what
/// there is to undo, and succeed if there is nothing.
///
/// ```no_run
/// use std::io;
///
/// use rework::{Undo, revert, step};
///
/// /// Creates a file. Returns its size in bytes.
/// #[step(revert = delete)]
/// fn create(path: String) -> io::Result<u64> {
///     std::fs::write(&path, "hello")?;
///     Ok(5)
/// }
///
/// #[revert(attempts = 5)]
/// fn delete(undo: Undo<String, u64>) -> io::Result<()> {
///     match std::fs::remove_file(&undo.input) {
///         Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
///         _ => Ok(()),
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Undo<I, R> {
    /// The input that the step had.
    pub input: I,
    /// The output of the step. `None` if it failed, or if its function returned null, such as `()`.
    pub result: Option<R>,
    /// Why the step failed. `None` if it was done.
    pub error: Option<Failure>,
    /// The steps that failed, with the reason of each. They are why this step is undone. After an abort: those that it
    /// ended.
    #[serde(default)]
    pub failures: BTreeMap<String, String>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The kind of the error: one word, such as `io` or `panic`.
    pub kind: String,
    /// The message of the error.
    pub message: String,
}

/// A function with `#[revert]`, as `#[step(revert = …)]` names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not undo a step",
    note = "put `#[revert]` on the function, and take `rework::Undo` in it"
)]
pub trait Reverts {
    /// The domain and the name of the operation.
    const NAME: &'static str;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_that_failed_has_an_error_and_no_result() {
        let text = json!({"input": {"gib": 3}, "result": null,
                          "error": {"kind": "io", "message": "no space"},
                          "failures": {"volume": "no space"}});
        let undo: Undo<BTreeMap<String, u32>, String> = serde_json::from_value(text).unwrap();
        assert_eq!((undo.input["gib"], undo.result), (3, None));
        let error = Failure { kind: "io".into(), message: "no space".into() };
        assert_eq!(undo.error, Some(error));
        assert_eq!(undo.failures["volume"], "no space");
    }

    #[test]
    fn a_step_that_was_done_has_a_result() {
        let text = json!({"input": null, "result": "vm-1", "error": null, "failures": {}});
        let undo: Undo<(), String> = serde_json::from_value(text).unwrap();
        assert_eq!((undo.result.as_deref(), undo.error), (Some("vm-1"), None));
    }
}
