//! What an operation gives back: a value written as JSON, the bytes as they are, or an error.

use std::marker::PhantomData;

use rework_wire::operation::Form;
use rework_wire::runner::Failure;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Bytes, Error};

/// An output as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// JSON text, or any bytes where `raw`.
    pub bytes: Vec<u8>,
    /// It is no JSON.
    pub raw: bool,
}

/// What can be the output of an operation: whatever is [`Serialize`] and [`JsonSchema`], and
/// [`Bytes`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of an operation",
    note = "derive `serde::Serialize` and `schemars::JsonSchema`, or return `rework::Bytes`, or a \
            `Result` of one of these and an error that is `Into<rework::Error>`"
)]
pub trait IntoOutput {
    /// What it is, and the JSON Schema that it fits, if any is known.
    fn describe() -> (Form, Option<Value>);

    /// Its bytes; none for a null, which is no output. The error's kind is `output`.
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
            Error::of(Failure::OUTPUT.into(), message)
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

/// What came of a run: its output, if it has one, or why it failed.
pub(crate) type Outcome = Result<Option<Output>, Error>;

/// What a function returns, for `#[operation]`, which sees its type as text only. A `Result` is
/// found by its own implementation, any other value by [`PlainReturn`]: whatever it is called.
#[derive(Debug)]
pub struct Returned<R>(PhantomData<R>);

impl<O, E> Returned<Result<O, E>> {
    /// What the output is.
    pub fn describe() -> (Form, Option<Value>)
    where
        O: IntoOutput,
    {
        O::describe()
    }

    /// What came of it.
    pub fn outcome(returned: Result<O, E>) -> Outcome
    where
        O: IntoOutput,
        E: Into<Error>,
    {
        returned.map_err(Into::into)?.to_output()
    }
}

/// A function that cannot fail.
pub trait PlainReturn<R: IntoOutput> {
    /// What the output is.
    fn describe() -> (Form, Option<Value>) {
        R::describe()
    }

    /// What came of it.
    fn outcome(returned: R) -> Outcome {
        returned.to_output()
    }
}

impl<R: IntoOutput> PlainReturn<R> for Returned<R> {}
