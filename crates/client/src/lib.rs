//! A client of the queue: schedules tasks, waits for their ends, reads what they left.
//!
//! It schedules over a pool of connections, and does all else over one more, shared by its clones; it
//! makes new ones where they were lost. What can be done twice without harm is then done again; a
//! task is scheduled once, and fails with the connection, since nobody knows then whether it is there.

#![warn(missing_docs)]

/// The examples, those of operations among them, of the guide are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
mod guide {}

mod connection;
mod error;
mod many;
mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rework_core::db::dsn::Dsn;
use rework_core::log::read::{Reader, Selection};
use rework_core::task::connection_pool::Pool;
use rework_core::task::payload::Payload;
use rework_core::{db::error::Result, task};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use self::connection::Connection;
use self::error::queue;
pub use self::many::{ManyRequest, schedule_many_within};
pub use self::request::{Request, schedule_within};

pub use rework::{Bytes, Error, IntoOutput};
pub use rework_core::log::read::Line;
pub use rework_core::task::state::State;

/// How long [`Client::join`] waits for a server that is away, as workers do.
const SERVER_AWAY: Duration = Duration::from_secs(600);

/// Between two tries to reach it.
const RETRY: Duration = Duration::from_secs(1);

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

#[derive(Debug)]
struct Shared {
    dsn: Dsn,
    /// For scheduling: from many places at once.
    pool: Pool,
    /// For everything else.
    connection: Mutex<Option<Arc<Connection>>>,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// `Done`, `Failed`, `Aborted` or `Lost`.
    pub state: State,
    /// Why, in words, where it did not simply return: `timed out after 5m`.
    pub reason: Option<String>,
}

impl Client {
    /// Connects to `postgres://…` or `host=… …`; what that leaves out comes from `PGHOST` and its
    /// like. The schema has to be there and of a version that fits.
    pub async fn connect(dsn: &str) -> Result<Client, Error> {
        let dsn = Dsn::parse(dsn).map_err(queue)?;
        let pool = Pool::new(&dsn, connection::WHO).map_err(queue)?;
        let shared = Shared { dsn, pool, connection: Mutex::new(None) };
        shared.connection().await.map_err(queue)?;
        Ok(Client(Arc::new(shared)))
    }

    /// Schedules a task once it is awaited, which gives the task's id. An input of `&()` is none.
    pub fn schedule<'a>(&'a self, operation: &str, input: &impl IntoOutput) -> Request<'a> {
        Request::of_client(self, operation, input)
    }

    /// Schedules a task for each input once it is awaited, which gives their ids in the order of the
    /// inputs: all of them or none. Up to 5,000 take one round trip, and a million a few seconds.
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

    /// Waits until a task has ended, also while the server is away, for ten minutes.
    pub async fn join(&self, task: i64) -> Result<End, Error> {
        let mut away_since = None;
        loop {
            match self.try_join(task).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => return Err(no_task(task)),
                Err(error) if error.is_connection() => {
                    let since = *away_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > SERVER_AWAY {
                        return Err(queue(error));
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(queue(error)),
            }
        }
    }

    /// The output of a task, also one that was saved before the task failed. Without an output it is
    /// read from `null`, so that an `Option` can be asked for.
    pub async fn output<T: DeserializeOwned>(&self, task: i64) -> Result<T, Error> {
        let text = match self.payload(task).await? {
            Payload::Json(text) => text,
            Payload::None => "null".to_owned(),
            Payload::Bytes(_) => {
                let why = format!("the output of task {task} is bytes: read it by `output_bytes`");
                return Err(Error::new("output", why));
            }
        };
        serde_json::from_str(&text).map_err(|error| {
            Error::new("output", format!("the output of task {task} does not fit: {error}"))
        })
    }

    /// The output of a task as it was given: bytes, or JSON text; none if there is none.
    pub async fn output_bytes(&self, task: i64) -> Result<Option<Bytes>, Error> {
        Ok(match self.payload(task).await? {
            Payload::None => None,
            Payload::Json(text) => Some(Bytes(text.into_bytes())),
            Payload::Bytes(bytes) => Some(Bytes(bytes)),
        })
    }

    /// All that a task has written until now, in its order. A task without lines has none, and so
    /// has one that does not exist.
    pub async fn logs(&self, task: i64) -> Result<Vec<Line>, Error> {
        let read = |connection: Arc<Connection>| async move {
            let mut reader = Reader::after(Selection { task, ..Selection::default() }, 0);
            let mut lines = Vec::new();
            loop {
                let page = reader.next(connection.db()).await?;
                if page.is_empty() {
                    return Ok(lines);
                }
                lines.extend(page);
            }
        };
        self.twice(read).await
    }

    /// Asks for the end of a task. The reason completes the phrase `aborted …`: `by the web shop`.
    /// A task that has ended stays as it is.
    pub async fn abort(&self, task: i64, reason: &str) -> Result<(), Error> {
        let ask = |connection: Arc<Connection>| async move {
            task::abort::abort(connection.db(), task, reason).await
        };
        self.twice(ask).await?;
        Ok(())
    }

    async fn payload(&self, task: i64) -> Result<Payload, Error> {
        let show = |connection: Arc<Connection>| async move {
            task::show::show(connection.db(), &[task]).await
        };
        let found = self.twice(show).await?.pop();
        found.map(|found| found.output).ok_or_else(|| no_task(task))
    }

    /// Does what can be done twice without harm: once more, where the connection was lost meanwhile.
    async fn twice<T, F: Future<Output = Result<T>>>(
        &self,
        act: impl Fn(Arc<Connection>) -> F,
    ) -> Result<T, Error> {
        let connection = self.0.connection().await.map_err(queue)?;
        let acted = match act(connection.clone()).await {
            Err(error) if error.is_connection() => {
                self.0.give_up(&connection).await;
                act(self.0.connection().await.map_err(queue)?).await
            }
            acted => acted,
        };
        acted.map_err(queue)
    }

    /// None: there is no such task.
    async fn try_join(&self, task: i64) -> Result<Option<End>> {
        let connection = self.0.connection().await?;
        // Heard from now on, then watched, then looked at: no end can slip through.
        let mut ends = connection.ends().await?;
        task::wait::watch(connection.db(), &[task]).await?;
        loop {
            let Some(status) = task::wait::status(connection.db(), &[task]).await?.pop() else {
                return Ok(None);
            };
            if status.state.is_end() {
                return Ok(Some(End { state: status.state, reason: status.reason }));
            }
            ends.of(task).await;
        }
    }
}

impl Shared {
    /// It failed, and may not know yet that it is closed.
    async fn give_up(&self, lost: &Arc<Connection>) {
        let mut connection = self.connection.lock().await;
        if connection.as_ref().is_some_and(|open| Arc::ptr_eq(open, lost)) {
            *connection = None;
        }
    }

    async fn connection(&self) -> Result<Arc<Connection>> {
        let mut connection = self.connection.lock().await;
        match &*connection {
            Some(open) if !open.db().is_closed() => Ok(open.clone()),
            _ => {
                let opened = Arc::new(Connection::open(&self.dsn).await?);
                *connection = Some(opened.clone());
                Ok(opened)
            }
        }
    }
}

fn no_task(task: i64) -> Error {
    Error::new("queue", format!("there is no task {task}"))
}
