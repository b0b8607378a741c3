//! The input of an operation: a value that is read from JSON, or raw bytes.

use rework_wire::runner::Failure;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Bytes, Error, Task};

/// A type that can be the input of an operation.
///
/// The trait is implemented for every type that is [`DeserializeOwned`] and [`JsonSchema`], and for [`Bytes`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of an operation",
    note = "derive `serde::Deserialize` and `schemars::JsonSchema`, or take `rework::Bytes`"
)]
pub trait FromInput: Sized {
    /// Reads the input of a task.
    ///
    /// # Errors
    /// An error of kind `input` if the input does not have this type. Such an error ends the task: another attempt
    /// would fail in the same way.
    fn from_task(task: &Task) -> Result<Self, Error>;

    /// Returns the JSON Schema of the input. `None` if the input is raw bytes.
    fn schema() -> Option<Value>;
}

impl Task {
    /// Reads the input, for an operation that takes only the task.
    ///
    /// ```no_run
    /// # use rework::{Task, operation};
    /// #[operation]
    /// fn sum(task: &Task) -> rework::Result<i64> {
    ///     let numbers: Vec<i64> = task.input()?;
    ///     Ok(numbers.iter().sum())
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// An error of kind `input` if the input does not have this type. If the operation returns it, the task ends
    /// without another attempt.
    pub fn input<T: FromInput>(&self) -> Result<T, Error> {
        T::from_task(self)
    }
}

impl<T: DeserializeOwned + JsonSchema> FromInput for T {
    fn from_task(task: &Task) -> Result<T, Error> {
        // A task without an input is read as JSON null, so that an operation can take `Option<T>` or `()`.
        let text = if task.has_input() { task.raw_input() } else { b"null" };
        if task.is_raw() {
            return Err(input_error("the input is raw bytes, but the operation takes JSON"));
        }
        serde_json::from_slice(text).map_err(|error| {
            let missing = if task.has_input() { "" } else { "the task has no input: " };
            input_error(&format!("{missing}{error}"))
        })
    }

    fn schema() -> Option<Value> {
        let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
        Some(generator.into_root_schema_for::<T>().to_value())
    }
}

impl FromInput for Bytes {
    fn from_task(task: &Task) -> Result<Bytes, Error> {
        Ok(Bytes(task.raw_input().to_vec()))
    }

    fn schema() -> Option<Value> {
        None
    }
}

fn input_error(problem: &str) -> Error {
    Error::with_kind(Failure::INPUT.into(), format!("invalid input: {problem}"))
}
