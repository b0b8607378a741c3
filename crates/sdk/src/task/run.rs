//! The inside of a [`Task`]: one run, where its frames go, and the methods that only the SDK calls.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rework_wire::frame::{FrameError, encode};
use rework_wire::runner::{Failure, FromRunner, RunRequest};

use super::{State, Task};
use crate::Error;
use crate::abort::Abort;
use crate::frame_sender::{FrameSender, RunEnded};
use crate::output::Output;
use crate::schedule_requests::ScheduleRequests;

/// One run of a task.
pub(super) struct Run {
    pub(super) request: RunRequest,
    pub(super) input: Vec<u8>,
    /// When the run started. Empty while it waits in the queue.
    pub(super) started_at: OnceLock<Instant>,
    pub(super) destination: Destination,
    pub(super) state: Arc<State>,
    pub(super) abort: Abort,
    pub(super) schedule_requests: ScheduleRequests,
    pub(super) ended: RunEnded,
}

/// Where the outputs, logs and progress of a run go.
pub(crate) enum Destination {
    /// To the worker that dispatched the run.
    Worker(Arc<FrameSender>),
    /// To the terminal: the operation runs without a worker. Holds the output that was saved last.
    Terminal(Mutex<Option<Output>>),
}

impl Task {
    pub(crate) fn new(
        request: RunRequest,
        input: Vec<u8>,
        destination: Destination,
        state: Arc<State>,
    ) -> Task {
        Task(Arc::new(Run {
            request,
            input,
            started_at: OnceLock::new(),
            destination,
            state,
            abort: Abort::default(),
            schedule_requests: ScheduleRequests::default(),
            ended: RunEnded::default(),
        }))
    }

    /// Creates a task that runs without a worker. Its id is 0.
    pub(crate) fn without_worker(
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
            boundary: None,
        };
        let destination = Destination::Terminal(Mutex::new(None));
        Task::new(request, input.unwrap_or_default(), destination, state)
    }

    /// Starts the clock of the run, from which its deadline counts.
    pub(crate) fn set_started(&self) {
        self.0.started_at.get_or_init(Instant::now);
    }

    /// Returns the task's id and the number of its run. Every frame of a run has both.
    pub(crate) fn key(&self) -> (i64, i64) {
        (self.id(), self.run())
    }

    /// Returns the slot of this run: its place in the memory of started runs.
    pub(crate) fn slot(&self) -> u32 {
        self.0.request.slot
    }

    /// Returns the boundary that separates the output of this run from that of the next one. `None` if the worker
    /// does not want one.
    pub(crate) fn boundary(&self) -> Option<&str> {
        self.0.request.boundary.as_deref()
    }

    pub(crate) fn abort(&self) -> &Abort {
        &self.0.abort
    }

    pub(crate) fn schedule_requests(&self) -> &ScheduleRequests {
        &self.0.schedule_requests
    }

    /// Wakes the listener thread, so that it receives the answer of the worker while the operation runs.
    pub(crate) fn await_answer(&self) {
        if let Destination::Worker(sender) = &self.0.destination {
            sender.await_answer();
        }
    }

    /// Returns whether a worker dispatched this run.
    pub(crate) fn has_worker(&self) -> bool {
        matches!(self.0.destination, Destination::Worker(_))
    }

    /// Takes the output that a run without a worker saved last. `None` if it saved none, or there is a worker.
    pub(crate) fn take_saved_output(&self) -> Option<Output> {
        match &self.0.destination {
            Destination::Worker(_) => None,
            Destination::Terminal(saved) => {
                saved.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
        }
    }

    /// Saves an output, which replaces an earlier one. `Err` if the run has ended or the output is too large.
    pub(super) fn save(&self, output: Output) -> Result<(), Error> {
        match &self.0.destination {
            Destination::Worker(sender) => {
                if !sender.send_within(&self.0.ended, &self.encode_output(&output)?) {
                    return Err(Error::new(
                        "over",
                        "the run has ended, so its output cannot change",
                    ));
                }
            }
            Destination::Terminal(saved) => {
                *saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
            }
        }
        Ok(())
    }

    /// Encodes the frame of an output. `Err` with kind `output` if it is too large for a frame.
    pub(crate) fn encode_output(&self, output: &Output) -> Result<Vec<u8>, Error> {
        let (task, run) = self.key();
        encode(&FromRunner::Output { task, run, raw: output.raw }, &output.bytes).map_err(|error| {
            Error::with_kind(Failure::OUTPUT.into(), format!("the output cannot be sent: {error}"))
        })
    }

    /// Sends a frame of this run. Returns `false` if the run has ended, or runs without a worker.
    pub(crate) fn send(&self, message: &FromRunner, body: &[u8]) -> Result<bool, FrameError> {
        match &self.0.destination {
            Destination::Worker(sender) => {
                Ok(sender.send_within(&self.0.ended, &encode(message, body)?))
            }
            Destination::Terminal(_) => Ok(false),
        }
    }

    /// Sends the last frame of this run. [`FrameSender::send_last`] explains `defer_now_us`.
    pub(crate) fn send_last(&self, frame: &[u8], defer_now_us: Option<i64>) {
        if let Destination::Worker(sender) = &self.0.destination {
            sender.send_last(&self.0.ended, frame, defer_now_us);
        }
    }
}
