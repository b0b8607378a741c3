//! What an operation takes: a type read from JSON, or the bytes as they are.

use rework_wire::runner::Failure;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Bytes, Error, Task};

/// What can be the input of an operation: whatever is [`DeserializeOwned`] and [`JsonSchema`], and
/// [`Bytes`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of an operation",
    note = "derive `serde::Deserialize` and `schemars::JsonSchema`, or take `rework::Bytes`"
)]
pub trait FromInput: Sized {
    /// Reads the input of a task. The error's kind is `input`.
    fn from_task(task: &Task) -> Result<Self, Error>;

    /// The JSON Schema that an input has to fit; none for any bytes.
    fn schema() -> Option<Value>;
}

impl Task {
    /// The input. The error's kind is `input`: passed on, it ends the task.
    pub fn input<T: FromInput>(&self) -> Result<T, Error> {
        T::from_task(self)
    }
}

impl<T: DeserializeOwned + JsonSchema> FromInput for T {
    fn from_task(task: &Task) -> Result<T, Error> {
        // A task without an input has null for one, so that `Option<T>` and `()` can be taken.
        let text = if task.has_input() { task.raw_input() } else { b"null" };
        if task.is_raw() {
            return Err(input_error("it is bytes, and the operation takes JSON"));
        }
        serde_json::from_slice(text).map_err(|error| {
            let absent = if task.has_input() { "" } else { "there is none: " };
            input_error(&format!("{absent}{error}"))
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

fn input_error(why: &str) -> Error {
    Error::of(Failure::INPUT.into(), format!("the input does not fit: {why}"))
}
