//! The run loop: it drives the runs of one runner, from their start until no run is left.
//!
//! There is one loop for all operations. They differ in the number of runs that the runner has:
//!
//! | operation | open at once | sent ahead |
//! | --- | --- | --- |
//! | a command, or an operation with a memory limit | 1 | none |
//! | short runs in a warm runner | 1 | up to [`sent_ahead::MAX_SENT_AHEAD`], so that they follow without a pause |
//! | `concurrency` above 1 | up to `concurrency` | none |
//!
//! [`RunLoop::drive`] waits for one event at a time and handles it. It returns when no run is open, or when the runner
//! cannot be used any more ([`RunnerEnd`]). [`RunLoop::finish`] then kills the processes that are left and records the
//! ends of runs. The result of a run is decided in [`crate::ending`], which only calculates.

mod abort;
mod availability;
mod finish;
mod frames;
mod dispatch;
mod give_back;
mod out_of_memory;
mod polling;
mod sent_ahead;
mod timeout;
mod timers;

use std::io;

use rework_core::task::{claim::OperationVersion, progress::NewLogLine};
use rework_process::Exit;
use rework_wire::{frame::Frame, frame_socket::FrameSocketError};
use tokio::time::Instant;

use self::{availability::OpenCheck, polling::Polling, sent_ahead::SentAhead};
use crate::{
    active_run::ActiveRun,
    command::OutputFile,
    context::Context,
    ending::{RunEnd, RunnerEnd},
    operations::Operation,
    runner::Runner,
    runner_message::{Scheduled, next_scheduled},
    start_run::Started,
    supervisor::{Event, LeaseLost},
};

/// The name of the log stream for output that a process with several open runs writes without its SDK. It cannot be
/// attributed to one run, so it is logged for each of them.
const SHARED_STREAM: &str = "shared";

/// A runner and its runs.
pub(crate) struct RunLoop<'a> {
    context: &'a mut Context,
    operation: &'a Operation,
    version: OperationVersion,
    runner: Runner,
    /// The runner's revision, as it is recorded.
    revision: String,
    /// The file to which a command writes its output; `None` for a runner of an SDK.
    output_file: Option<OutputFile>,
    /// The most runs that may be open at once.
    concurrency: usize,
    /// Runs that have started, as far as the worker knows.
    open: Vec<ActiveRun>,
    /// Runs that the runner has received and not started.
    sent_ahead: SentAhead,
    /// Runs that have ended and are not recorded yet, because processes of theirs may be left.
    ended: Vec<(ActiveRun, RunEnd)>,
    /// When this loop started. None of its runs started earlier.
    started_at: Instant,
    /// How many more runs the runner may receive before it is replaced (option `--maxruns`).
    runs_left: u32,
    /// Whether the runner must not receive any more runs.
    accepts_no_runs: bool,
    /// Whether the runner must be replaced after this loop, because one of its runs was ordered to stop.
    must_be_replaced: bool,
    /// Whether runs of this operation leave processes behind, so that they must run one at a time.
    leaves_processes: bool,
    polling: Polling,
    timers: timers::Timers,
    /// The check that the runner executes beside its runs; `None` if it executes none.
    open_check: Option<OpenCheck>,
    /// Index of the run whose abort request is checked next. Used only by a worker without a monitor, which has to ask
    /// the database itself.
    abort_poll_index: usize,
}

/// An event that the loop handles.
enum LoopEvent {
    Supervisor(Event),
    Timer,
    Frame(Result<Option<Frame>, FrameSocketError>),
    Scheduled(usize, Scheduled),
    ClaimAnswered,
    Exited(io::Result<Exit>),
    Stdout(io::Result<Vec<u8>>),
    Stderr(io::Result<Vec<u8>>),
}

impl<'a> RunLoop<'a> {
    /// Creates the loop of a runner that has received this run, which starts now.
    pub(crate) fn new(
        context: &'a mut Context,
        operation: &'a Operation,
        started: Started,
        mut run: ActiveRun,
    ) -> RunLoop<'a> {
        let Started { runner, output_file } = started;
        let version = run.run.claimed.version;
        run.started_at = Instant::now();
        let leaves_processes = context.queue.leaves_processes(version.operation);
        RunLoop {
            version,
            revision: runner.revision.to_string(),
            output_file,
            concurrency: operation.concurrency(),
            open: vec![run],
            sent_ahead: SentAhead::new(runner.can_send_ahead(operation)),
            ended: Vec::new(),
            started_at: Instant::now(),
            runs_left: context.warm_runners.more_runs(&runner),
            accepts_no_runs: false,
            must_be_replaced: false,
            leaves_processes,
            polling: Polling::default(),
            timers: timers::Timers::new(&operation.definition.limits),
            open_check: None,
            abort_poll_index: 0,
            context,
            operation,
            runner,
        }
    }

    /// Drives the runs until none is open (`None`) or the runner cannot be used any more.
    pub(crate) async fn drive(&mut self) -> Result<Option<RunnerEnd>, LeaseLost> {
        loop {
            self.dispatch_and_claim();
            if let Some(end) = self.switch_polling() {
                return Ok(Some(end));
            }
            let ended = match self.next().await {
                LoopEvent::Supervisor(event) => self.on_event(event)?,
                LoopEvent::Timer => self.on_timer(),
                LoopEvent::Frame(frame) => self.on_frames(frame),
                LoopEvent::Scheduled(index, answer) => self.on_scheduled(index, answer),
                LoopEvent::ClaimAnswered => {
                    self.on_claim_answered();
                    None
                }
                LoopEvent::Exited(exit) => Some(self.on_exit(exit)),
                LoopEvent::Stdout(read) => self.on_stdout(read),
                LoopEvent::Stderr(read) => self.on_stderr(read),
            };
            if ended.is_some() || self.open.is_empty() {
                return Ok(ended);
            }
            let recorder = &self.context.recorder;
            self.open.iter_mut().for_each(|run| run.schedule_flush(recorder));
        }
    }

    /// Waits for the next event. Nothing is read from the runner while the recorder is full.
    async fn next(&mut self) -> LoopEvent {
        let deadline = self.next_timer();
        self.abort_poll_index = (self.abort_poll_index + 1) % self.open.len();
        let fence = self.open[self.abort_poll_index].fence();
        let Context { supervisor, recorder, queue, timer, .. } = &mut *self.context;
        let claim_is_pending = queue.has_pending_claim();
        let may_read = !recorder.is_full();
        let Runner { child, frames, stdout, stderr, .. } = &mut self.runner;
        tokio::select! {
            biased;
            event = supervisor.next(Some(fence)) => LoopEvent::Supervisor(event),
            () = timer.until(deadline) => LoopEvent::Timer,
            frame = Runner::next_frame(frames), if may_read => LoopEvent::Frame(frame),
            (index, answer) = next_scheduled(&mut self.open) => LoopEvent::Scheduled(index, answer),
            () = queue.claim_answered(), if claim_is_pending => LoopEvent::ClaimAnswered,
            exit = child.wait() => LoopEvent::Exited(exit),
            read = stdout.read(), if may_read && stdout.is_open() => LoopEvent::Stdout(read),
            read = stderr.read(), if may_read && stderr.is_open() => LoopEvent::Stderr(read),
        }
    }

    fn on_event(&mut self, event: Event) -> Result<Option<RunnerEnd>, LeaseLost> {
        match event {
            Event::Abort(abort) => Ok(self.on_abort(abort)),
            Event::LeaseLost => Err(LeaseLost),
            Event::Woken => {
                self.timers.claim_now();
                Ok(None)
            }
            Event::Retired | Event::PausesChanged => Ok(None),
        }
    }

    /// Handles the frames that the process sent before it exited.
    fn on_exit(&mut self, exit: io::Result<Exit>) -> RunnerEnd {
        match exit {
            Ok(exit) => self.read_frames_now().unwrap_or(RunnerEnd::Exited(exit)),
            Err(error) => error.into(),
        }
    }

    fn on_stdout(&mut self, read: io::Result<Vec<u8>>) -> Option<RunnerEnd> {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return Some(error.into()),
        };
        let splitter = &mut self.runner.stdout.splitter;
        log_lines(self.concurrency, &mut self.open, |lines| splitter.push(&bytes, lines));
        None
    }

    fn on_stderr(&mut self, read: io::Result<Vec<u8>>) -> Option<RunnerEnd> {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return Some(error.into()),
        };
        let splitter = &mut self.runner.stderr.splitter;
        log_lines(self.concurrency, &mut self.open, |lines| splitter.push(&bytes, lines));
        None
    }

    /// Reads everything that is in the runner's pipes now.
    fn drain_pipes(&mut self) {
        let runner = &mut self.runner;
        let drain = |lines: &mut Vec<NewLogLine>| {
            if let Err(error) = runner.drain(lines) {
                tracing::warn!("the last output of a run could not be read: {error}");
            }
        };
        log_lines(self.concurrency, &mut self.open, drain);
    }
}

/// Calls `write` with the lines of the open run. If several may be open, each of them gets the lines, as stream
/// `shared`.
fn log_lines(concurrency: usize, open: &mut [ActiveRun], write: impl FnOnce(&mut Vec<NewLogLine>)) {
    if let [run] = open
        && concurrency == 1
    {
        return write(&mut run.lines);
    }
    let mut lines = Vec::new();
    write(&mut lines);
    for mut line in lines {
        SHARED_STREAM.clone_into(&mut line.stream);
        for run in &mut *open {
            run.lines.push(line.clone());
        }
    }
}
