//! [`ManyRequest`]: schedules many tasks of one operation, all of them or none.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use rework_core::task::payload::Payload;
use rework_core::task::schedule::{AfterFailure, Ready};
use rework_core::task::schedule_many::{self, CommonOptions};
use rework_core::task::schedule_many_once::schedule_many_once_within;
use rework_core::task::unique::{OnConflict, Scheduled, UniqueOptions, UniqueWhile};
use serde::Serialize;
use tokio_postgres::Transaction;

use crate::error::queue;
use crate::request::{Target, payload};
use crate::{Client, Error, IntoOutput};

/// A request for many tasks, made by [`Client::schedule_many`] or [`schedule_many_within`].
///
/// Nothing is scheduled before `.await`, which returns the ids of the tasks in the order of their inputs.
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
    retry: Option<Result<String, Error>>,
    after: Vec<i64>,
    after_failure: AfterFailure,
    unique: UniqueOptions,
}

/// Prepares to schedule one task for each input inside a transaction of the caller. `.await` schedules them.
///
/// The tasks exist if, and only if, the transaction is committed.
///
/// # Errors
///
/// `.await` returns `Err` if an input cannot be serialised, if the operation is not registered, or if the connection is
/// lost.
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
            retry: None,
            after: Vec::new(),
            after_failure: AfterFailure::default(),
            unique: UniqueOptions::default(),
        }
    }

    /// Sets the domain of the operation. It is needed if several domains have an operation of this name.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets the only host that may run the tasks.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the priority: tasks with a higher one run first. The default is the priority of the operation.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets how long the tasks wait before they become ready, by the clock of the server.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Sets metadata, which is stored with each task as JSON. rework does not use it.
    pub fn metadata(mut self, metadata: &impl Serialize) -> Self {
        self.metadata = Some(serde_json::to_string(metadata).map_err(Error::from));
        self
    }

    /// Sets the retry policy of each task, as JSON. The default is that of the operation.
    pub fn retry(mut self, policy: &impl Serialize) -> Self {
        self.retry = Some(serde_json::to_string(policy).map_err(Error::from));
        self
    }

    /// Sets the tasks that must end before these become ready. If one of them is not done, the tasks are aborted,
    /// unless `after_failure` says otherwise.
    pub fn after(mut self, tasks: impl IntoIterator<Item = i64>) -> Self {
        self.after = tasks.into_iter().collect();
        self
    }

    /// Sets what happens if one of the tasks of `after` fails, is aborted or is lost.
    pub fn after_failure(mut self, policy: AfterFailure) -> Self {
        self.after_failure = policy;
        self
    }

    /// Sets how long each task keeps its unique key, for [`once`](ManyRequest::once). The default is
    /// [`UniqueWhile::Exists`], or with [`debounce`](ManyRequest::debounce) [`UniqueWhile::Queued`].
    pub fn unique_while(mut self, rule: UniqueWhile) -> Self {
        self.unique.unique_while = Some(rule);
        self
    }

    /// Sets after which time since it was scheduled each task loses its unique key at the latest, for
    /// [`once`](ManyRequest::once).
    pub fn unique_for(mut self, window: Duration) -> Self {
        self.unique.unique_for = Some(window);
        self
    }

    /// Sets what happens to a task that has a unique key already, for [`once`](ManyRequest::once).
    pub fn on_conflict(mut self, rule: OnConflict) -> Self {
        self.unique.on_conflict = Some(rule);
        self
    }

    /// Lets each task start when nobody has scheduled its unique key for this time, for [`once`](ManyRequest::once).
    pub fn debounce(mut self, quiet_time: Duration) -> Self {
        self.unique.debounce = Some(quiet_time);
        self
    }

    /// Limits [`debounce`](ManyRequest::debounce): a task does not wait longer than this time after it was scheduled
    /// first.
    pub fn at_most(mut self, limit: Duration) -> Self {
        self.unique.at_most = Some(limit);
        self
    }

    /// Schedules the tasks, each unless a task has its unique key. `unique_keys` has a key for each input. Returns for
    /// each input the task, and whether it was created, in the order of the inputs.
    ///
    /// The server takes the keys one after the other, which is several times slower than scheduling without keys. The
    /// tasks are queued in the order of their keys, so that two such calls do not deadlock.
    ///
    /// # Errors
    ///
    /// `Err` in the cases of [`Client::schedule`], and if there are not as many keys as inputs. Then no task is
    /// scheduled.
    ///
    /// ```no_run
    /// # async fn example(client: rework_client::Client) -> Result<(), rework_client::Error> {
    /// let keys = (1..=1000).map(|order| format!("order {order}"));
    /// let scheduled = client.schedule_many("invoice", 1..=1000).once(keys).await?;
    /// let created = scheduled.iter().filter(|scheduled| scheduled.created).count();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn once(
        self,
        unique_keys: impl IntoIterator<Item: Into<String>>,
    ) -> Result<Vec<Scheduled>, Error> {
        let keys: Vec<String> = unique_keys.into_iter().map(Into::into).collect();
        let metadata = self.metadata.transpose()?;
        let retry = self.retry.transpose()?;
        let (inputs, unique) = (self.inputs?, self.unique);
        let common = CommonOptions {
            operation: &self.operation,
            domain: self.domain.as_deref(),
            host: self.host.as_deref(),
            priority: self.priority,
            ready: self.delay.map_or(Ready::Now, Ready::After),
            metadata: metadata.as_deref(),
            capabilities: &[],
            retry: retry.as_deref(),
            after: &self.after,
            after_failure: self.after_failure,
        };
        let scheduled = match self.target {
            Target::Client(client) => {
                client.0.pool.schedule_many_once(&common, &unique, &keys, &inputs).await
            }
            Target::Transaction(transaction) => {
                schedule_many_once_within(transaction, &common, &unique, &keys, &inputs).await
            }
        };
        scheduled.map_err(queue)
    }

    async fn send(self) -> Result<Vec<i64>, Error> {
        if self.unique != UniqueOptions::default() {
            let message = "options about unique keys are given, but no unique keys";
            let hint = "hint: pass the keys with `once`, or leave the options out";
            return Err(Error::new("queue", message).with_traceback(hint));
        }
        let metadata = self.metadata.transpose()?;
        let retry = self.retry.transpose()?;
        let inputs = self.inputs?;
        let common = CommonOptions {
            operation: &self.operation,
            domain: self.domain.as_deref(),
            host: self.host.as_deref(),
            priority: self.priority,
            ready: self.delay.map_or(Ready::Now, Ready::After),
            metadata: metadata.as_deref(),
            capabilities: &[],
            retry: retry.as_deref(),
            after: &self.after,
            after_failure: self.after_failure,
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
