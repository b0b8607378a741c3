//! [`Request`]: schedules one task, over a connection of the client or inside a transaction of the program.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use rework_core::task::payload::Payload;
use rework_core::task::schedule::{self, AfterFailure, Ready};
use rework_core::task::unique::{OnConflict, Scheduled, UniqueOptions, UniqueWhile};
use serde::Serialize;
use tokio_postgres::Transaction;

use crate::error::queue;
use crate::{Client, Error, IntoOutput};

/// A request for one task, made by [`Client::schedule`] or [`schedule_within`].
///
/// Nothing is scheduled before `.await`, which returns the id of the task.
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
    retry: Option<Result<String, Error>>,
    after: Vec<i64>,
    after_failure: AfterFailure,
    unique: UniqueOptions,
}

/// The connection over which a request is sent.
pub(super) enum Target<'a> {
    Client(&'a Client),
    Transaction(&'a Transaction<'a>),
}

/// Prepares to schedule a task inside a transaction of the caller. `.await` schedules it and returns its id.
///
/// The task exists if, and only if, the transaction is committed. Pass `&()` as the input to schedule a task without an
/// input.
///
/// # Errors
///
/// `.await` returns `Err` if the input cannot be serialised, if the operation is not registered, or if the connection
/// is lost.
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

    /// Sets the only host that may run the task.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the priority: tasks with a higher one run first. The default is the priority of the operation.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets how long the task waits before it becomes ready, by the clock of the server.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Sets a key that is unique among the tasks of the operation. If a task has this key, no task is made, and
    /// `.await` returns the id of the existing one. [`once`](Request::once) says which of the two happened. The key is
    /// free again when that task is deleted: by default, a day after its end. [`unique_while`](Request::unique_while)
    /// and [`unique_for`](Request::unique_for) shorten this time.
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Sets metadata, which is stored with the task as JSON, at most 64 KiB. rework does not use it.
    pub fn metadata(mut self, metadata: &impl Serialize) -> Self {
        self.metadata = Some(serde_json::to_string(metadata).map_err(Error::from));
        self
    }

    /// Sets the retry policy of the task, as JSON: `&"once"`, or `&json!({"attempts": 5, "first": "10s"})`. The default
    /// is that of the operation. `.await` returns `Err` if it is not a policy.
    pub fn retry(mut self, policy: &impl Serialize) -> Self {
        self.retry = Some(serde_json::to_string(policy).map_err(Error::from));
        self
    }

    /// Sets the tasks that must end before this one becomes ready. If one of them is not done, the task is aborted,
    /// unless `after_failure` says otherwise. They are ignored if a task has the unique key already.
    pub fn after(mut self, tasks: impl IntoIterator<Item = i64>) -> Self {
        self.after = tasks.into_iter().collect();
        self
    }

    /// Sets what happens if one of the tasks of `after` fails, is aborted or is lost.
    pub fn after_failure(mut self, policy: AfterFailure) -> Self {
        self.after_failure = policy;
        self
    }

    /// Sets how long the task keeps its unique key. The default is [`UniqueWhile::Exists`], or with
    /// [`debounce`](Request::debounce) [`UniqueWhile::Queued`].
    pub fn unique_while(mut self, rule: UniqueWhile) -> Self {
        self.unique.unique_while = Some(rule);
        self
    }

    /// Sets after which time since it was scheduled the task loses its unique key at the latest.
    pub fn unique_for(mut self, window: Duration) -> Self {
        self.unique.unique_for = Some(window);
        self
    }

    /// Sets what happens to the task that has the unique key. The default is [`OnConflict::Keep`], or with
    /// [`debounce`](Request::debounce) [`OnConflict::Replace`].
    pub fn on_conflict(mut self, rule: OnConflict) -> Self {
        self.unique.on_conflict = Some(rule);
        self
    }

    /// Lets the task start when nobody has scheduled its unique key for this time. The last input counts. Cannot be
    /// combined with [`delay`](Request::delay).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(client: rework_client::Client) -> Result<(), rework_client::Error> {
    /// // Each change of the document schedules this task. It starts 5 s after the last change, but at most 60 s after
    /// // the first one.
    /// let request = client.schedule("index", &"document 7").unique_key("document 7");
    /// request.debounce(Duration::from_secs(5)).at_most(Duration::from_secs(60)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn debounce(mut self, quiet_time: Duration) -> Self {
        self.unique.debounce = Some(quiet_time);
        self
    }

    /// Limits [`debounce`](Request::debounce): the task does not wait longer than this time after it was scheduled
    /// first.
    pub fn at_most(mut self, limit: Duration) -> Self {
        self.unique.at_most = Some(limit);
        self
    }

    /// Schedules the task, unless a task has its unique key. Returns that task or the new one, and says which it is.
    ///
    /// # Errors
    ///
    /// `Err` in the cases of [`Client::schedule`].
    ///
    /// ```no_run
    /// # async fn example(client: rework_client::Client) -> Result<(), rework_client::Error> {
    /// let scheduled = client.schedule("invoice", &7).unique_key("order 7").once().await?;
    /// if !scheduled.created {
    ///     println!("task {} is {}", scheduled.task, scheduled.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn once(mut self) -> Result<Scheduled, Error> {
        let (input, metadata, retry) = self.take_values()?;
        let request = self.request(input, metadata.as_deref(), retry.as_deref());
        let scheduled = match &self.target {
            Target::Transaction(transaction) => {
                schedule::schedule_once(*transaction, &request).await
            }
            Target::Client(client) => client.0.pool.schedule_once(&request).await,
        };
        scheduled.map_err(queue)
    }

    async fn send(mut self) -> Result<i64, Error> {
        let (input, metadata, retry) = self.take_values()?;
        let request = self.request(input, metadata.as_deref(), retry.as_deref());
        let task = match &self.target {
            Target::Transaction(transaction) => schedule::schedule(*transaction, &request).await,
            Target::Client(client) => client.0.pool.schedule(&request).await,
        };
        task.map_err(queue)
    }

    /// Takes the input, the metadata and the retry policy out of the request. `Err` if one of them could not be
    /// serialised.
    fn take_values(&mut self) -> Result<(Payload, Option<String>, Option<String>), Error> {
        let metadata = self.metadata.take().transpose()?;
        let retry = self.retry.take().transpose()?;
        let input = std::mem::replace(&mut self.input, Ok(Payload::None))?;
        Ok((input, metadata, retry))
    }

    /// Returns the request as the queue takes it.
    fn request<'r>(
        &'r self,
        input: Payload,
        metadata: Option<&'r str>,
        retry: Option<&'r str>,
    ) -> schedule::Request<'r> {
        schedule::Request {
            operation: &self.operation,
            domain: self.domain.as_deref(),
            input,
            host: self.host.as_deref(),
            priority: self.priority,
            ready: self.delay.map_or(Ready::Now, Ready::After),
            unique_key: self.unique_key.as_deref(),
            metadata,
            capabilities: &[],
            retry,
            after: &self.after,
            after_failure: self.after_failure,
            unique: self.unique,
        }
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

/// Converts an input to the form in which the queue stores it.
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
