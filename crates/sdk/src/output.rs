//! The output of an operation: a value that is written as JSON, raw bytes, or an error instead.

use std::marker::PhantomData;

use rework_wire::operation::Form;
use rework_wire::runner::Failure;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Bytes, Error};

/// An output in the form in which it is sent to the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// JSON text, or raw bytes if `raw` is true.
    pub bytes: Vec<u8>,
    /// Whether `bytes` is raw bytes, not JSON.
    pub raw: bool,
}

/// A type that can be the output of an operation, or the input of a task to be scheduled.
///
/// The trait is implemented for every type that is [`Serialize`] and [`JsonSchema`], and for [`Bytes`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of an operation",
    note = "derive `serde::Serialize` and `schemars::JsonSchema`, or return `rework::Bytes`, or a \
            `Result` of one of these and an error that is `Into<rework::Error>`"
)]
pub trait IntoOutput {
    /// Returns the form of the output, and its JSON Schema. The schema is `None` for raw bytes and for null.
    fn describe() -> (Form, Option<Value>);

    /// Converts the value to bytes. `None` for a null, because a null counts as no output.
    ///
    /// # Errors
    /// An error of kind `output` if the value cannot be written as JSON.
    fn to_output(&self) -> Result<Option<Output>, Error>;
}

impl<T: Serialize + JsonSchema> IntoOutput for T {
    fn describe() -> (Form, Option<Value>) {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        (Form::Json, Some(schema).filter(|schema| schema.get("type") != Some(&json!("null"))))
    }

    fn to_output(&self) -> Result<Option<Output>, Error> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            let message = format!("the output cannot be written as JSON: {error}");
            Error::with_kind(Failure::OUTPUT.into(), message)
        })?;
        Ok((bytes != b"null").then_some(Output { bytes, raw: false }))
    }
}

impl IntoOutput for Bytes {
    fn describe() -> (Form, Option<Value>) {
        (Form::Bytes, None)
    }

    fn to_output(&self) -> Result<Option<Output>, Error> {
        Ok(Some(Output { bytes: self.0.clone(), raw: true }))
    }
}

/// The result of a run: its output if it has one, or why it failed.
pub(crate) type Outcome = Result<Option<Output>, Error>;

/// Tells a function that returns a `Result` from one that does not, for the code that `#[operation]` generates.
///
/// The macro sees the return type as text only, and a `Result` may have another name there. So the generated code calls
/// `Returned::<R>::outcome`. If `R` is a `Result`, the compiler finds the inherent function below. Otherwise it finds
/// that of the trait [`PlainReturn`], because inherent functions come first.
#[derive(Debug)]
pub struct Returned<R>(PhantomData<R>);

impl<O, E> Returned<Result<O, E>> {
    /// Returns the form and the schema of the output. The schema is `None` for raw bytes and for
    /// null.
    pub fn describe() -> (Form, Option<Value>)
    where
        O: IntoOutput,
    {
        O::describe()
    }

    /// Converts the returned `Result` to the result of the run.
    pub fn outcome(returned: Result<O, E>) -> Outcome
    where
        O: IntoOutput,
        E: Into<Error>,
    {
        returned.map_err(Into::into)?.to_output()
    }
}

/// The functions of [`Returned`] for a return type that is not a `Result`.
pub trait PlainReturn<R: IntoOutput> {
    /// Returns the form and the schema of the output. The schema is `None` for raw bytes and for
    /// null.
    fn describe() -> (Form, Option<Value>) {
        R::describe()
    }

    /// Converts the returned value to the result of the run.
    fn outcome(returned: R) -> Outcome {
        returned.to_output()
    }
}

impl<R: IntoOutput> PlainReturn<R> for Returned<R> {}
