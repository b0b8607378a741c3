//! What stands behind a task: one run, and what the SDK itself does with it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rework_wire::frame::{FrameError, encode};
use rework_wire::runner::{Failure, FromRunner, RunRequest};

use super::{State, Task};
use crate::Error;
use crate::abort::Abort;
use crate::link::{Link, Over};
use crate::output::Output;
use crate::schedule_requests::Requests;

/// One run.
pub(super) struct Run {
    pub(super) request: RunRequest,
    pub(super) input: Vec<u8>,
    pub(super) began: OnceLock<Instant>,
    pub(super) outlet: Outlet,
    pub(super) state: Arc<State>,
    pub(super) abort: Abort,
    pub(super) requests: Requests,
    pub(super) over: Over,
}

/// Where a run's word goes.
pub(crate) enum Outlet {
    /// To the worker.
    Worker(Arc<Link>),
    /// To a person: the operation runs directly. The last output is kept for the end.
    Person(Mutex<Option<Output>>),
}

impl Task {
    pub(crate) fn new(
        request: RunRequest,
        input: Vec<u8>,
        outlet: Outlet,
        state: Arc<State>,
    ) -> Task {
        let (began, abort) = (OnceLock::new(), Abort::default());
        let (requests, over) = (Requests::default(), Over::default());
        Task(Arc::new(Run { request, input, began, outlet, state, abort, requests, over }))
    }

    /// One that a person runs, with id 0.
    pub(crate) fn directly(
        domain: &str,
        operation: &str,
        input: Option<Vec<u8>>,
        raw: bool,
        state: Arc<State>,
    ) -> Task {
        let request = RunRequest {
            task: 0,
            run: 1,
            slot: 0,
            attempt: 1,
            domain: domain.to_owned(),
            operation: operation.to_owned(),
            deadline_ms: None,
            raw,
            has_input: input.is_some(),
            metadata: None,
            mark: None,
        };
        Task::new(request, input.unwrap_or_default(), Outlet::Person(Mutex::new(None)), state)
    }

    /// Its time runs from now on.
    pub(crate) fn begin(&self) {
        self.0.began.get_or_init(Instant::now);
    }

    /// What every frame of this run names.
    pub(crate) fn key(&self) -> (i64, i64) {
        (self.id(), self.run())
    }

    /// Its place in the page.
    pub(crate) fn slot(&self) -> u32 {
        self.0.request.slot
    }

    /// What parts its output from that of the next run.
    pub(crate) fn mark(&self) -> Option<&str> {
        self.0.request.mark.as_deref()
    }

    pub(crate) fn abort(&self) -> &Abort {
        &self.0.abort
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// Somebody is to listen for what the worker answers.
    pub(crate) fn await_answer(&self) {
        if let Outlet::Worker(link) = &self.0.outlet {
            link.await_answer();
        }
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

    /// Saves an output, in place of an earlier one.
    pub(super) fn keep(&self, output: Output) -> Result<(), Error> {
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

    /// Sends the last frame of this run: at once, or, where it is now some time that is given, a moment later.
    pub(crate) fn send_last(&self, frame: &[u8], waits_us: Option<i64>) {
        if let Outlet::Worker(link) = &self.0.outlet {
            link.send_last(&self.0.over, frame, waits_us);
        }
    }
}
