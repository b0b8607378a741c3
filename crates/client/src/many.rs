//! Many tasks of one operation to be scheduled by a program, all of them or none.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use rework_core::task::payload::Payload;
use rework_core::task::schedule::Ready;
use rework_core::task::schedule_many::{self, Common};
use serde::Serialize;
use tokio_postgres::Transaction;

use crate::error::queue;
use crate::request::{Target, payload};
use crate::{Client, Error, IntoOutput};

/// Tasks to be scheduled, by [`Client::schedule_many`] or [`schedule_many_within`]. `.await` gives
/// their ids in the order of their inputs; until then nothing is scheduled.
#[derive(Debug)]
#[must_use = "nothing is scheduled before `.await`"]
pub struct ManyRequest<'a> {
    target: Target<'a>,
    operation: String,
    inputs: Result<Vec<Payload>, Error>,
    domain: Option<String>,
    host: Option<String>,
    priority: Option<i16>,
    delay: Option<Duration>,
    metadata: Option<Result<String, Error>>,
}

/// Schedules a task for each input within a transaction of one's own, once it is awaited: the tasks
/// are there if, and only if, that is committed.
///
/// ```no_run
/// # async fn example(connection: &mut tokio_postgres::Client) -> anyhow::Result<()> {
/// let transaction = connection.transaction().await?;
/// let due = transaction.query("delete from reminder where due < now() returning text", &[]).await?;
/// let texts = due.iter().map(|row| row.get::<_, String>(0));
/// rework_client::schedule_many_within(&transaction, "remind", texts).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
pub fn schedule_many_within<'a>(
    transaction: &'a Transaction<'a>,
    operation: &str,
    inputs: impl IntoIterator<Item: IntoOutput>,
) -> ManyRequest<'a> {
    ManyRequest::new(Target::Transaction(transaction), operation, inputs)
}

impl<'a> ManyRequest<'a> {
    pub(super) fn of_client(
        client: &'a Client,
        operation: &str,
        inputs: impl IntoIterator<Item: IntoOutput>,
    ) -> Self {
        ManyRequest::new(Target::Client(client), operation, inputs)
    }

    fn new(
        target: Target<'a>,
        operation: &str,
        inputs: impl IntoIterator<Item: IntoOutput>,
    ) -> ManyRequest<'a> {
        ManyRequest {
            target,
            operation: operation.to_owned(),
            inputs: inputs.into_iter().map(|input| payload(&input)).collect(),
            domain: None,
            host: None,
            priority: None,
            delay: None,
            metadata: None,
        }
    }

    /// The domain of the operation, where its name is not enough.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The only host that may run them.
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

    /// Whatever is to be kept with each task, as JSON.
    pub fn metadata(mut self, metadata: &impl Serialize) -> Self {
        self.metadata = Some(serde_json::to_string(metadata).map_err(Error::from));
        self
    }

    async fn send(self) -> Result<Vec<i64>, Error> {
        let metadata = self.metadata.transpose()?;
        let inputs = self.inputs?;
        let common = Common {
            operation: &self.operation,
            domain: self.domain.as_deref(),
            host: self.host.as_deref(),
            priority: self.priority,
            ready: self.delay.map_or(Ready::Now, Ready::After),
            metadata: metadata.as_deref(),
            capabilities: &[],
        };
        let tasks = match self.target {
            Target::Client(client) => client.0.pool.schedule_many(&common, inputs).await,
            Target::Transaction(transaction) => {
                schedule_many::schedule_many_within(transaction, &common, inputs).await
            }
        };
        tasks.map_err(queue)
    }
}

impl<'a> IntoFuture for ManyRequest<'a> {
    type Output = Result<Vec<i64>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
