//! A task as its operation sees it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rework_core::frame::{FrameError, encode};
use rework_core::protocol::{Failure, FromRunner, RunRequest};
use serde_json::Value;

use crate::Error;
use crate::abort::Abort;
use crate::error::bounded;
use crate::input::FromInput;
use crate::link::{Link, Over};
use crate::output::{IntoOutput, Output};
use crate::progress::{self, Amount};
use crate::schedule::{Requests, Schedule};

/// The longest message of a progress, in bytes.
const PROGRESS_BYTES: usize = 4 << 10;

/// The values that operations share, by their types.
pub(crate) type State = HashMap<TypeId, Box<dyn Any + Send + Sync>>;

/// One run of a task: what it was asked for, and the way back. A clone is the same run.
#[derive(Clone)]
pub struct Task(Arc<Run>);

struct Run {
    request: RunRequest,
    input: Vec<u8>,
    began: Instant,
    outlet: Outlet,
    state: Arc<State>,
    abort: Abort,
    requests: Requests,
    over: Over,
}

/// Where a run's word goes.
pub(crate) enum Outlet {
    /// To the worker.
    Worker(Arc<Link>),
    /// To a person: the operation runs directly. The last output is kept for the end.
    Person(Mutex<Option<Output>>),
}

impl Task {
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
        self.0.began.checked_add(limit)
    }

    /// The input. The error's kind is `input`: passed on, it ends the task.
    pub fn input<T: FromInput>(&self) -> Result<T, Error> {
        T::from_task(self)
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
        let Some(output) = value.to_output()? else { return Ok(()) };
        match &self.0.outlet {
            Outlet::Worker(link) => {
                if !link.send_within(&self.0.over, &self.encode_output(&output)?) {
                    return Err(Error::new("over", "the run has ended: it has its output"));
                }
            }
            Outlet::Person(last) => {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
            }
        }
        Ok(())
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

    /// Schedules another task: `task.schedule("resize", &input).await?`, or `.wait()?` in a plain
    /// function. An input of `&()` is none.
    pub fn schedule<'a>(&'a self, operation: &str, input: &impl IntoOutput) -> Schedule<'a> {
        Schedule::new(self, operation, input)
    }
}

/// What the SDK itself does with a task.
impl Task {
    pub(crate) fn new(
        request: RunRequest,
        input: Vec<u8>,
        outlet: Outlet,
        state: Arc<State>,
    ) -> Task {
        let began = Instant::now();
        let (abort, requests, over) = (Abort::default(), Requests::default(), Over::default());
        Task(Arc::new(Run { request, input, began, outlet, state, abort, requests, over }))
    }

    /// What every frame of this run names.
    pub(crate) fn key(&self) -> (i64, i64) {
        (self.id(), self.run())
    }

    pub(crate) fn phase(&self) -> &str {
        &self.0.request.phase
    }

    pub(crate) fn abort(&self) -> &Abort {
        &self.0.abort
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// A worker is there to hear of it.
    pub(crate) fn has_worker(&self) -> bool {
        matches!(self.0.outlet, Outlet::Worker(_))
    }

    /// The last output that was saved before the end, where the operation runs directly.
    pub(crate) fn saved_output(&self) -> Option<Output> {
        match &self.0.outlet {
            Outlet::Worker(_) => None,
            Outlet::Person(last) => last.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    /// The frame of an output. The error's kind is `output`.
    pub(crate) fn encode_output(&self, output: &Output) -> Result<Vec<u8>, Error> {
        let (task, run) = self.key();
        encode(&FromRunner::Output { task, run, raw: output.raw }, &output.bytes).map_err(|error| {
            Error::of(Failure::OUTPUT.into(), format!("the output cannot be sent: {error}"))
        })
    }

    /// Sends a frame of this run; false if the run is over, or nobody would get it.
    pub(crate) fn send(&self, message: &FromRunner, body: &[u8]) -> Result<bool, FrameError> {
        match &self.0.outlet {
            Outlet::Worker(link) => Ok(link.send_within(&self.0.over, &encode(message, body)?)),
            Outlet::Person(_) => Ok(false),
        }
    }

    /// Sends the last frames of this run.
    pub(crate) fn send_last(&self, frames: &[u8]) {
        if let Outlet::Worker(link) = &self.0.outlet {
            link.send_last(&self.0.over, frames);
        }
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
