//! A task as its operation sees it.

mod run;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rework_wire::operation::DEFAULT_DOMAIN;
use rework_wire::runner::{Failure, FromRunner};
use serde_json::Value;

pub(crate) use self::run::Outlet;
use self::run::Run;
use crate::Error;
use crate::error::bounded;
use crate::output::IntoOutput;
use crate::progress::{self, Amount};

/// The longest message of a progress, in bytes.
const PROGRESS_BYTES: usize = 4 << 10;

/// The values that operations share, by their types.
pub(crate) type State = HashMap<TypeId, Box<dyn Any + Send + Sync>>;

/// One run of a task: what it was asked for, and the way back. A clone is the same run.
#[derive(Clone)]
pub struct Task(Arc<Run>);

impl Task {
    /// A task without a worker, and without an input: to call an operation's function in a test. It
    /// has id 0, and no state.
    pub fn detached() -> Task {
        Task::directly(DEFAULT_DOMAIN, "detached", None, false, Arc::new(State::new()))
    }

    /// The task's id; 0 where it runs directly, without a database.
    pub fn id(&self) -> i64 {
        self.0.request.task
    }

    /// Which claim of the task this is, from 1.
    pub fn run(&self) -> i64 {
        self.0.request.run
    }

    /// Which attempt that counts against the operation's attempts, from 1.
    pub fn attempt(&self) -> i32 {
        self.0.request.attempt
    }

    /// The operation's domain.
    pub fn domain(&self) -> &str {
        &self.0.request.domain
    }

    /// The operation's name.
    pub fn operation(&self) -> &str {
        &self.0.request.operation
    }

    /// What whoever scheduled the task noted of it.
    pub fn metadata(&self) -> Option<&Value> {
        self.0.request.metadata.as_ref()
    }

    /// When the run has to be over, where its time is limited.
    pub fn deadline(&self) -> Option<Instant> {
        let limit = Duration::from_millis(self.0.request.deadline_ms?);
        self.0.began.get()?.checked_add(limit)
    }

    /// The input as it came: JSON text, or any bytes. Empty, if there is none.
    pub fn raw_input(&self) -> &[u8] {
        &self.0.input
    }

    /// There is an input at all.
    pub(crate) fn has_input(&self) -> bool {
        self.0.request.has_input
    }

    /// The input is no JSON.
    pub(crate) fn is_raw(&self) -> bool {
        self.0.request.raw
    }

    /// The value of this type that the program gave to its [`Runner`](crate::Runner). The error's
    /// kind is `load`: passed on, it ends the task.
    pub fn state<T: Any + Send + Sync>(&self) -> Result<&T, Error> {
        self.0.state.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref()).ok_or_else(
            || {
                let name = std::any::type_name::<T>();
                let message = format!(
                    "the program has no state of type `{name}`: give it one \
                                       with `rework::Runner::new().state(…).run()`"
                );
                Error::of(Failure::LOAD.into(), message)
            },
        )
    }

    /// Says how far the run is: so many are done, of so many where that is known (else `None`), and
    /// what is being done. It replaces what was said before.
    pub fn progress<A: Amount>(&self, done: A, total: impl Into<Option<A>>, message: &str) {
        let total = total.into().map(Amount::amount);
        let message = (!message.is_empty()).then(|| bounded(message.to_owned(), PROGRESS_BYTES));
        let (task, run, done) = (self.id(), self.run(), done.amount());
        match &self.0.outlet {
            Outlet::Worker(_) => {
                // Its message is bounded, and of a run that is over nobody asks how far it is.
                let _ = self.send(&FromRunner::Progress { task, run, done, total, message }, &[]);
            }
            Outlet::Person(_) => progress::show(done, total, message.as_deref()),
        }
    }

    /// Saves an output now. It stays readable even if the run fails later; a later one, also what
    /// the operation returns, replaces it.
    pub fn save_output<T: IntoOutput>(&self, value: &T) -> Result<(), Error> {
        value.to_output()?.map_or(Ok(()), |output| self.keep(output))
    }

    /// Whether the run should end: it was aborted, or its time is over. An operation that asks is
    /// given the grace to end by itself; one that never asked is ended at once.
    pub fn is_aborted(&self) -> bool {
        self.0.abort.look()
    }

    /// Returns when the run should end, as [`is_aborted`](Task::is_aborted): for a `select!`.
    pub fn aborted(&self) -> impl Future<Output = ()> + Send + '_ {
        // Who asks for the future listens, even if it is not polled yet.
        self.0.abort.look();
        self.0.abort.wait()
    }

    /// Why the run should end, where it should: `aborted from the command line`.
    pub fn abort_reason(&self) -> Option<&str> {
        self.0.abort.reason()
    }
}

impl fmt::Debug for Task {
    /// Without the input: it may hold what is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("run", &self.run())
            .field("domain", &self.domain())
            .field("operation", &self.operation())
            .finish_non_exhaustive()
    }
}
