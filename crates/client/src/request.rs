//! A task to be scheduled by a program, over the client's connection or within a transaction of the
//! program's own.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use rework_core::task::payload::Payload;
use rework_core::task::schedule::{self, Ready};
use serde::Serialize;
use tokio_postgres::Transaction;

use crate::error::queue;
use crate::{Client, Error, IntoOutput};

/// A task to be scheduled, by [`Client::schedule`] or [`schedule_within`]. `.await` gives its id;
/// until then nothing is scheduled.
#[derive(Debug)]
#[must_use = "nothing is scheduled before `.await`"]
pub struct Request<'a> {
    target: Target<'a>,
    operation: String,
    input: Result<Payload, Error>,
    domain: Option<String>,
    host: Option<String>,
    priority: Option<i16>,
    delay: Option<Duration>,
    unique_key: Option<String>,
    metadata: Option<Result<String, Error>>,
}

/// Over which connection.
pub(super) enum Target<'a> {
    Client(&'a Client),
    Transaction(&'a Transaction<'a>),
}

/// Schedules a task within a transaction of one's own, once it is awaited: the task is there if,
/// and only if, that is committed. An input of `&()` is none.
///
/// ```no_run
/// # async fn example(connection: &mut tokio_postgres::Client) -> anyhow::Result<()> {
/// let transaction = connection.transaction().await?;
/// transaction.execute("insert into customer (name) values ('World')", &[]).await?;
/// rework_client::schedule_within(&transaction, "greet", &"World").unique_key("World").await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
pub fn schedule_within<'a>(
    transaction: &'a Transaction<'a>,
    operation: &str,
    input: &impl IntoOutput,
) -> Request<'a> {
    Request::new(Target::Transaction(transaction), operation, input)
}

impl<'a> Request<'a> {
    pub(super) fn of_client(client: &'a Client, operation: &str, input: &impl IntoOutput) -> Self {
        Request::new(Target::Client(client), operation, input)
    }

    fn new(target: Target<'a>, operation: &str, input: &impl IntoOutput) -> Request<'a> {
        Request {
            target,
            operation: operation.to_owned(),
            input: payload(input),
            domain: None,
            host: None,
            priority: None,
            delay: None,
            unique_key: None,
            metadata: None,
        }
    }

    /// The domain of the operation, where its name is not enough.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The only host that may run it.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Higher goes first; if left out, as the operation says.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Not before so much time has passed, by the server's clock.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Makes no second task of the operation with this key: the id is then that of the first.
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Whatever is to be kept with the task, as JSON.
    pub fn metadata(mut self, metadata: &impl Serialize) -> Self {
        self.metadata = Some(serde_json::to_string(metadata).map_err(Error::from));
        self
    }

    async fn send(self) -> Result<i64, Error> {
        let metadata = self.metadata.transpose()?;
        let request = schedule::Request {
            operation: &self.operation,
            domain: self.domain.as_deref(),
            input: self.input?,
            host: self.host.as_deref(),
            priority: self.priority,
            ready: self.delay.map_or(Ready::Now, Ready::After),
            unique_key: self.unique_key.as_deref(),
            metadata: metadata.as_deref(),
            capabilities: &[],
        };
        let task = match self.target {
            Target::Transaction(transaction) => {
                schedule::schedule(transaction, &request).await.map_err(queue)?
            }
            Target::Client(client) => client.0.pool.schedule(&request).await.map_err(queue)?,
        };
        Ok(task)
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Result<i64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Target::Client(_) => "Client",
            Target::Transaction(_) => "Transaction",
        })
    }
}

pub(super) fn payload(input: &impl IntoOutput) -> Result<Payload, Error> {
    Ok(match input.to_output()? {
        None => Payload::None,
        Some(output) if output.raw => Payload::Bytes(output.bytes),
        Some(output) => {
            let text = String::from_utf8(output.bytes);
            Payload::Json(text.map_err(|error| Error::new("input", error.to_string()))?)
        }
    })
}
