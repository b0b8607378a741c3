//! [`Task`]: what an operation knows of its task and can do with it.

mod run;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rework_wire::operation::DEFAULT_DOMAIN;
use rework_wire::runner::{Failure, FromRunner};
use serde::de::DeserializeOwned;

pub(crate) use self::run::Destination;
use self::run::Run;
use crate::Error;
use crate::error::truncated;
use crate::output::IntoOutput;
use crate::progress::{self, Amount};

/// The longest message about the progress of a run, in bytes. A longer one is cut: people read it in one line.
const PROGRESS_BYTES: usize = 4 << 10;

/// The values that all operations of the program share, by their types.
pub(crate) type State = HashMap<TypeId, Box<dyn Any + Send + Sync>>;

/// The task that an operation runs for: its input and its identity, and methods to report progress, to save an output,
/// to schedule other tasks and to notice an abort.
///
/// An operation takes it as `&Task`. A clone is the same run, and may be moved to another thread.
///
/// ```no_run
/// use rework::{Task, operation};
///
/// /// Counts to a number. Returns the last number that it reached.
/// #[operation]
/// fn count(task: &Task, to: u32) -> u32 {
///     for number in 1..=to {
///         if task.is_aborted() {
///             return number - 1;
///         }
///         task.progress(number, to, "counting");
///     }
///     to
/// }
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Task(Arc<Run>);

impl Task {
    /// Creates a task without a worker, to call the function of an operation in a unit test.
    ///
    /// The task has id 0, no input and no state.
    ///
    /// ```
    /// use rework::{Task, operation};
    ///
    /// #[operation]
    /// fn double(task: &Task, number: i64) -> i64 {
    ///     task.progress(1, 1, "doubling");
    ///     number * 2
    /// }
    ///
    /// fn main() {
    ///     assert_eq!(double(&Task::detached(), 21), 42);
    /// }
    /// ```
    pub fn detached() -> Task {
        Task::without_worker(DEFAULT_DOMAIN, "detached", None, false, Arc::new(State::new()))
    }

    /// Returns the task's id. It is 0 if the operation runs without a worker.
    pub fn id(&self) -> i64 {
        self.0.request.task
    }

    /// Returns the number of this run of the task, from 1. Each claim by a worker is a new run.
    pub fn run(&self) -> i64 {
        self.0.request.run
    }

    /// Returns the number of this attempt, from 1, as it counts against the `attempts` of the operation.
    pub fn attempt(&self) -> i32 {
        self.0.request.attempt
    }

    /// Returns the domain of the operation.
    pub fn domain(&self) -> &str {
        &self.0.request.domain
    }

    /// Returns the name of the operation.
    pub fn operation(&self) -> &str {
        &self.0.request.operation
    }

    /// Reads the metadata that was given when the task was scheduled. `None` if none was given.
    ///
    /// ```no_run
    /// # use rework::{Task, operation};
    /// #[derive(serde::Deserialize)]
    /// struct Origin {
    ///     user: String,
    /// }
    ///
    /// #[operation]
    /// fn greet(task: &Task) -> rework::Result<String> {
    ///     let origin: Option<Origin> = task.metadata()?;
    ///     Ok(format!("hello {}", origin.map_or("nobody".to_owned(), |origin| origin.user)))
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// An error of kind `input` if the metadata does not have this type. If the operation returns it, the task ends
    /// without another attempt.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let Some(metadata) = &self.0.request.metadata else { return Ok(None) };
        serde_json::from_str(metadata.get()).map(Some).map_err(|error| {
            Error::with_kind(Failure::INPUT.into(), format!("invalid metadata: {error}"))
        })
    }

    /// Returns the time at which the run is timed out. `None` if the operation has no `timeout`.
    pub fn deadline(&self) -> Option<Instant> {
        let limit = Duration::from_millis(self.0.request.deadline_ms?);
        self.0.started_at.get()?.checked_add(limit)
    }

    /// Returns the bytes of the input: JSON text, or raw bytes. They are empty if the task has no input.
    ///
    /// Use [`Task::input`] to read a typed value.
    pub fn raw_input(&self) -> &[u8] {
        &self.0.input
    }

    /// Returns whether the task has an input.
    pub(crate) fn has_input(&self) -> bool {
        self.0.request.has_input
    }

    /// Returns whether the input is raw bytes, not JSON.
    pub(crate) fn is_raw(&self) -> bool {
        self.0.request.raw
    }

    /// Returns the value of this type that `main` gave to [`Runner::state`](crate::Runner::state).
    ///
    /// # Errors
    /// An error of kind `load` if there is no such value. If the operation returns it, the task ends without another
    /// attempt.
    pub fn state<T: Any + Send + Sync>(&self) -> Result<&T, Error> {
        self.0.state.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref()).ok_or_else(
            || {
                let name = std::any::type_name::<T>();
                let message = format!(
                    "the program has no state of type `{name}`: add it in `main` with \
                 `rework::Runner::new().state(…).run()`"
                );
                Error::with_kind(Failure::LOAD.into(), message)
            },
        )
    }

    /// Reports how far the run is: `done` units of `total`, and what it is doing. Replaces what was reported before.
    ///
    /// `total` is a number, or `None` if it is not known. An empty message counts as no message.
    ///
    /// ```no_run
    /// # let task = rework::Task::detached();
    /// task.progress(3, 10, "reading page 3");
    /// task.progress(0.5, None, "");
    /// ```
    pub fn progress<A: Amount>(&self, done: A, total: impl Into<Option<A>>, message: &str) {
        let total = total.into().map(Amount::amount);
        let message = (!message.is_empty()).then(|| truncated(message.to_owned(), PROGRESS_BYTES));
        let (task, run, done) = (self.id(), self.run(), done.amount());
        match &self.0.destination {
            Destination::Worker(_) => {
                // The frame cannot be too large, because the message is cut. If the run has ended its progress does
                // not matter.
                let _ = self.send(&FromRunner::Progress { task, run, done, total, message }, &[]);
            }
            Destination::Terminal(_) => progress::show(done, total, message.as_deref()),
        }
    }

    /// Saves an output before the end of the run. It stays readable if the run fails later.
    ///
    /// A later output replaces it, also the one that the operation returns. A null, such as `()`, saves nothing.
    ///
    /// # Errors
    /// An error of kind `output` if the value cannot be written as JSON or is too large, and an error of kind `over`
    /// if the run has ended.
    pub fn save_output<T: IntoOutput>(&self, value: &T) -> Result<(), Error> {
        value.to_output()?.map_or(Ok(()), |output| self.save(output))
    }

    /// Returns whether the run should end, because it was aborted or timed out.
    ///
    /// An operation that has called this or [`aborted`](Task::aborted) at least once is given the grace period to
    /// return by itself. The process of an operation that has called neither ends at once.
    pub fn is_aborted(&self) -> bool {
        self.0.abort.check()
    }

    /// Waits until the run should end, see [`is_aborted`](Task::is_aborted). For a `select!` in an `async` operation.
    pub fn aborted(&self) -> impl Future<Output = ()> + Send + '_ {
        // An operation that creates the future checks for aborts, even if it has not polled the future yet.
        self.0.abort.check();
        self.0.abort.wait()
    }

    /// Returns why the run should end, for example `aborted from the command line`. `None` if it should not end.
    pub fn abort_reason(&self) -> Option<&str> {
        self.0.abort.reason()
    }
}

impl fmt::Debug for Task {
    /// Leaves out the input, which may be confidential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("run", &self.run())
            .field("domain", &self.domain())
            .field("operation", &self.operation())
            .finish_non_exhaustive()
    }
}
