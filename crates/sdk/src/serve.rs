//! Serves a worker: announces the operations of this program, then executes the runs that the worker dispatches, one
//! after the other, on the thread that called `rework::run`, until the worker sends `exit`.

use std::process::ExitCode;
use std::sync::Arc;
use std::{io, thread};

use rework_wire::frame::{FrameError, encode};
use rework_wire::operation::Form;
use rework_wire::runner::{Done, Failure, FromRunner, Span, VERSION};
use rework_wire::send_buffer::SendBuffer;

use crate::clock::now_us;
use crate::execution::Executor;
use crate::exit::{self, ExitReason};
use crate::frame_reader::FrameReader;
use crate::frame_sender::FrameSender;
use crate::inherited::Inherited;
use crate::listener::WorkerListener;
use crate::long_run::LongRunTimer;
use crate::operation::Operation;
use crate::output::Outcome;
use crate::run_queue::{CheckRequest, NextRun, RunQueue};
use crate::started_runs::StartedRuns;
use crate::task::State;
use crate::{Error, Task, current, run_boundary, stderr};

/// Name and version of this SDK, for the `hello` message.
const SDK: &str = concat!("rework-rust ", env!("CARGO_PKG_VERSION"));

/// The end of a run that took less than this, in microseconds, may be deferred and sent with that of the next run.
/// Deferring the end of a longer run would save too little.
const SHORT_RUN_US: i64 = 1_000;

/// The longest reason that is sent of a check, in characters. The worker keeps less.
const MAX_REASON_CHARS: usize = 1_000;

/// Why a runner cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The list of operations, with their schemas, does not fit into a frame.
    #[error("the schemas of this program's operations are too large: {0}")]
    Hello(#[from] FrameError),
    /// The system refuses a thread, a file descriptor or shared memory.
    #[error("the runner cannot start: {0}")]
    System(#[from] io::Error),
}

/// Serves the worker until it sends `exit`. If the worker closes its end of the socket, the process ends instead.
pub(crate) fn serve(
    inherited: Inherited,
    executor: &Executor,
    state: Arc<State>,
) -> Result<ExitCode, ServeError> {
    let long_run = Arc::new(LongRunTimer::new()?);
    let send_buffer = inherited.send_buffer.as_ref().map(SendBuffer::map).transpose()?;
    let socket = inherited.socket.try_clone()?;
    let sender = Arc::new(FrameSender::new(socket, send_buffer, long_run.clone()));
    let operations = executor.operations().iter().map(Operation::definition).collect();
    let hello = FromRunner::Hello {
        version: VERSION,
        sdk: SDK.to_owned(),
        operations,
        accepts_runs_ahead: true,
    };
    sender.send(&hello)?;
    let started_runs = inherited.started_runs.as_ref().map(StartedRuns::map).transpose()?;
    let queue = Arc::new(RunQueue::default());
    let reader = FrameReader::new(inherited.socket, queue.clone(), sender.clone(), state);
    let listener =
        Arc::new(WorkerListener::new(reader, queue.clone(), sender.clone(), long_run.clone()));
    let thread_listener = listener.clone();
    let builder = thread::Builder::new().name("rework-listen".to_owned());
    builder.spawn(move || thread_listener.listen_during_long_runs())?;
    let runner = RunnerLoop { executor, sender, queue, listener, long_run, started_runs };
    runner.run_all()?;
    Ok(ExitCode::SUCCESS)
}

/// The executing thread of a runner, with everything that it needs for a run.
struct RunnerLoop<'a> {
    executor: &'a Executor,
    sender: Arc<FrameSender>,
    queue: Arc<RunQueue>,
    listener: Arc<WorkerListener>,
    long_run: Arc<LongRunTimer>,
    started_runs: Option<StartedRuns>,
}

impl RunnerLoop<'_> {
    /// Executes runs until no more will come.
    fn run_all(&self) -> Result<(), FrameError> {
        let mut now = now_us();
        loop {
            let task = match self.listener.next(now) {
                NextRun::Run(task) => task,
                NextRun::Check(request) => {
                    self.check(request)?;
                    continue;
                }
                NextRun::Closed | NextRun::Empty => return Ok(()),
            };
            self.record_started(&task);
            let started_us = now_us();
            self.long_run.run_started(started_us);
            let outcome = self.executor.run(&task);
            now = now_us();
            let span = Span { started_us, ended_us: now };
            task.schedule_requests().close();
            current::leave();
            self.long_run.run_ended();
            if let Some(boundary) = task.boundary() {
                self.separate_from_next_run(boundary)?;
            }
            let is_short = span.ended_us - started_us < SHORT_RUN_US;
            let defer = is_short && self.queue.next_starts_at_once();
            task.send_last(&last_frame(&task, outcome, span), defer.then_some(now));
        }
    }

    /// Runs the check of an operation and sends the answer.
    fn check(&self, request: CheckRequest) -> Result<(), FrameError> {
        let CheckRequest { number, domain, operation } = request;
        let reason = self.executor.check(&domain, &operation);
        let reason = reason.map(|reason| reason.chars().take(MAX_REASON_CHARS).collect());
        self.sender.send(&FromRunner::Checked { number, reason })
    }

    /// Records in shared memory that a run starts. If this process dies later, the worker or the
    /// monitor can read that the run had started, and does not record it as not started.
    fn record_started(&self, task: &Task) {
        if self.started_runs.as_ref().is_some_and(|runs| !runs.record(task.slot(), task.key())) {
            stderr::error(&format!(
                "the worker named slot {}, which the memory of the started runs does not have",
                task.slot()
            ));
            exit::now(ExitReason::ProtocolError);
        }
    }

    /// Writes the boundary after the output of a run. If the run has left a child process, returns
    /// all waiting runs to the worker, because the worker must kill that child before another run
    /// starts.
    fn separate_from_next_run(&self, boundary: &str) -> Result<(), FrameError> {
        run_boundary::write_boundary(boundary);
        if run_boundary::has_children() {
            for (task, run) in self.listener.revoke_all() {
                self.sender.send(&FromRunner::Revoked { task, run })?;
            }
        }
        Ok(())
    }
}

/// Encodes the last frame of a run, `done` or `failed`.
fn last_frame(task: &Task, outcome: Outcome, span: Span) -> Vec<u8> {
    let (id, run) = task.key();
    let done = outcome.and_then(|output| {
        let form = output.as_ref().map(|output| if output.raw { Form::Bytes } else { Form::Json });
        let done = FromRunner::Done(Done { task: id, run, output: form, span: Some(span) });
        let body = output.map(|output| output.bytes).unwrap_or_default();
        encode(&done, &body).map_err(|error| {
            Error::with_kind(Failure::OUTPUT.into(), format!("the output cannot be sent: {error}"))
        })
    });
    done.unwrap_or_else(|error| {
        let failure = Failure { span: Some(span), ..error.into_failure(id, run) };
        encode_bounded(&FromRunner::Failed(failure))
    })
}

/// Encodes a frame that cannot be too large, because its texts were truncated when it was made.
fn encode_bounded(message: &FromRunner) -> Vec<u8> {
    let frame = encode(message, &[]);
    debug_assert!(frame.is_ok(), "a frame beyond its limits: {frame:?}");
    frame.unwrap_or_default()
}
