//! The Rust client of rework. It schedules tasks, waits for them to end, and reads their outputs and logs.
//!
//! [`Client::connect`] is the start. [`schedule_within`] schedules a task inside a transaction of the program's own.
//!
//! A client schedules over a pool of connections, and uses one more connection for everything else. Its clones share
//! these connections. A lost connection is replaced. Requests that are safe to repeat are then sent again; scheduling
//! is not repeated, because the server may already have stored the task. It returns an error instead. With
//! [`Request::unique_key`] the program can repeat it safely.

#![warn(missing_docs)]

/// Compiles and runs the examples of the guide, including those of operations.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
mod guide {}

/// Compiles and runs the examples of the manual of flows.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/flows.md")]
mod flows {}

mod connection;
mod error;
mod many;
mod request;
mod shared;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rework_core::db::dsn::Dsn;
use rework_core::log::lines::{JoinedLine, OpenLines};
use rework_core::log::read::{LogFilter, LogReader};
use rework_core::task::connection_pool::Pool;
use rework_core::task::payload::Payload;
use rework_core::{db::error::Result, task};
use serde::de::DeserializeOwned;

use self::connection::Connection;
use self::error::queue;
pub use self::many::{ManyRequest, schedule_many_within};
pub use self::request::{Request, schedule_within};
use self::shared::Shared;

pub use rework::{Bytes, Error, IntoOutput};
pub use rework_core::log::lines::LogLine;
pub use rework_core::task::schedule::AfterFailure;
pub use rework_core::task::state::State;
pub use rework_core::task::unique::{OnConflict, Scheduled, UniqueWhile};

/// How long [`Client::join`] tolerates an unreachable server. Workers tolerate the same time.
const UNREACHABLE_LIMIT: Duration = Duration::from_secs(600);

/// Interval between attempts to reach the server.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A client of the queue. Clones share its connections.
///
/// ```no_run
/// # async fn example() -> Result<(), rework_client::Error> {
/// let client = rework_client::Client::connect("postgres://localhost/jobs").await?;
/// let task = client.schedule("double", &21).priority(5).await?;
/// let end = client.join(task).await?;
/// assert_eq!(end.state, rework_client::State::Done);
/// let doubled: i64 = client.output(task).await?;
/// for line in client.logs(task).await? {
///     println!("{}: {}", line.stream, String::from_utf8_lossy(&line.bytes));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

/// The end of a task, as [`Client::join`] returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The final state: `Done`, `Failed`, `Aborted` or `Lost`.
    pub state: State,
    /// The reason as a phrase, such as `timed out after 5m`. `None` if the operation returned normally.
    pub reason: Option<String>,
}

impl Client {
    /// Connects to a database, written `postgres://…` or `host=… dbname=…`. Options that are left out come from the
    /// environment (`PGHOST`, `PGUSER`, …), as for `psql`.
    ///
    /// # Errors
    ///
    /// `Err` if the DSN is not valid, if the server is unreachable or refuses the login, or if the schema of rework is
    /// missing or has a version that this client cannot use.
    pub async fn connect(dsn: &str) -> Result<Client, Error> {
        let dsn = Dsn::parse(dsn).map_err(queue)?;
        let pool = Pool::new(&dsn, connection::APPLICATION_NAME).map_err(queue)?;
        let shared = Shared::new(dsn, pool);
        shared.connection().await.map_err(queue)?;
        Ok(Client(Arc::new(shared)))
    }

    /// Prepares to schedule a task. `.await` schedules it and returns its id.
    ///
    /// Pass `&()` as the input to schedule a task without an input.
    ///
    /// # Errors
    ///
    /// `.await` returns `Err` if the input cannot be serialised, if the operation is not registered, or if the
    /// connection is lost. In the last case the task may have been scheduled.
    ///
    /// ```no_run
    /// # async fn example(client: rework_client::Client) -> Result<(), rework_client::Error> {
    /// let task = client.schedule("double", &21).priority(5).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn schedule<'a>(&'a self, operation: &str, input: &impl IntoOutput) -> Request<'a> {
        Request::of_client(self, operation, input)
    }

    /// Prepares to schedule one task for each input. `.await` schedules all of them or none, and returns their ids in
    /// the order of the inputs.
    ///
    /// Up to 5,000 tasks take one round trip, and a million tasks a few seconds.
    ///
    /// # Errors
    ///
    /// `.await` returns `Err` in the cases of [`Client::schedule`].
    ///
    /// ```no_run
    /// # async fn example(client: rework_client::Client) -> Result<(), rework_client::Error> {
    /// let tasks = client.schedule_many("double", 1..=1000).priority(-1).await?;
    /// assert_eq!(tasks.len(), 1000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn schedule_many<'a>(
        &'a self,
        operation: &str,
        inputs: impl IntoIterator<Item: IntoOutput>,
    ) -> ManyRequest<'a> {
        ManyRequest::of_client(self, operation, inputs)
    }

    /// Waits until a task has ended, without a time limit. Returns its final state and the reason.
    ///
    /// # Errors
    ///
    /// `Err` if the task does not exist, or if the server is still unreachable ten minutes after the connection was
    /// lost for the first time.
    pub async fn join(&self, task: i64) -> Result<End, Error> {
        let mut unreachable_since = None;
        loop {
            match self.try_join(task).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => return Err(no_task(task)),
                Err(error) if error.is_connection() => {
                    let since = *unreachable_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > UNREACHABLE_LIMIT {
                        return Err(queue(error));
                    }
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                Err(error) => return Err(queue(error)),
            }
        }
    }

    /// Returns the output of a task, deserialised from JSON. Also returns an output that was saved before the task
    /// failed.
    ///
    /// A task without an output gives `null`, so that `T` can be an `Option`.
    ///
    /// # Errors
    ///
    /// `Err` if the task does not exist, or if its output is bytes or does not fit `T`.
    pub async fn output<T: DeserializeOwned>(&self, task: i64) -> Result<T, Error> {
        let text = match self.payload(task).await? {
            Payload::Json(text) => text,
            Payload::None => "null".to_owned(),
            Payload::Bytes(_) => {
                let why =
                    format!("the output of task {task} is bytes: read it with `output_bytes`");
                return Err(Error::new("output", why));
            }
        };
        serde_json::from_str(&text).map_err(|error| {
            Error::new("output", format!("the output of task {task} has another type: {error}"))
        })
    }

    /// Returns the output of a task as it is stored: bytes, or the text of JSON. `None` if there is no output.
    ///
    /// # Errors
    ///
    /// `Err` if the task does not exist, or if the server is unreachable.
    pub async fn output_bytes(&self, task: i64) -> Result<Option<Bytes>, Error> {
        Ok(match self.payload(task).await? {
            Payload::None => None,
            Payload::Json(text) => Some(Bytes(text.into_bytes())),
            Payload::Bytes(bytes) => Some(Bytes(bytes)),
        })
    }

    /// Returns all log lines that a task has written so far, in their order.
    ///
    /// A line that has no newline yet is returned as far as it was written; [`LogLine::whole`] is false then. If a
    /// carriage return overwrote a line, as progress bars do, only its last state is returned.
    ///
    /// The list is empty if the task has written nothing, and also if it does not exist.
    ///
    /// # Errors
    ///
    /// `Err` if the server is unreachable.
    pub async fn logs(&self, task: i64) -> Result<Vec<LogLine>, Error> {
        let read = |connection: Arc<Connection>| async move {
            let mut reader = LogReader::after(LogFilter { task, ..LogFilter::default() }, 0);
            let (mut open, mut lines) = (OpenLines::default(), Vec::new());
            loop {
                let rows = reader.next(connection.db()).await?;
                let joined = rows.into_iter().filter_map(|row| open.add(task, row));
                lines.extend(joined.map(JoinedLine::into_line));
                if reader.is_at_end() {
                    return Ok(lines);
                }
            }
        };
        self.retry_once(read).await
    }

    /// Requests the abort of a task. `reason` completes the phrase `aborted …`, for example `by the web shop`.
    ///
    /// Does not wait until the task has ended: [`Client::join`] does. A task that has ended is not changed.
    ///
    /// # Errors
    ///
    /// `Err` if the task does not exist, or if the server is unreachable.
    pub async fn abort(&self, task: i64, reason: &str) -> Result<(), Error> {
        let abort = |connection: Arc<Connection>| async move {
            task::abort::abort(connection.db(), task, reason).await
        };
        self.retry_once(abort).await?;
        Ok(())
    }

    async fn payload(&self, task: i64) -> Result<Payload, Error> {
        let show = |connection: Arc<Connection>| async move {
            task::show::show(connection.db(), &[task]).await
        };
        let shown = self.retry_once(show).await?.pop();
        shown.map(|shown| shown.output).ok_or_else(|| no_task(task))
    }

    /// Sends a request, and sends it again on a new connection if the connection was lost. For requests that are safe
    /// to repeat.
    async fn retry_once<T, F: Future<Output = Result<T>>>(
        &self,
        request: impl Fn(Arc<Connection>) -> F,
    ) -> Result<T, Error> {
        let connection = self.0.connection().await.map_err(queue)?;
        let result = match request(connection.clone()).await {
            Err(error) if error.is_connection() => {
                self.0.discard(&connection).await;
                request(self.0.connection().await.map_err(queue)?).await
            }
            result => result,
        };
        result.map_err(queue)
    }

    /// Waits for the end of a task on one connection. `None` if the task does not exist.
    async fn try_join(&self, task: i64) -> Result<Option<End>> {
        let connection = self.0.connection().await?;
        // The order matters: first listen, then request the notification, then read the state. So an end is either in
        // the state that is read, or its notification arrives.
        let mut listener = connection.listen_for_ends().await?;
        task::wait::notify_ends(connection.db(), &[task]).await?;
        loop {
            let Some(status) = task::wait::status(connection.db(), &[task]).await?.pop() else {
                return Ok(None);
            };
            if status.state.is_end() {
                return Ok(Some(End { state: status.state, reason: status.reason }));
            }
            listener.wait_for(task).await;
        }
    }
}

fn no_task(task: i64) -> Error {
    Error::new("queue", format!("there is no task {task}"))
}
