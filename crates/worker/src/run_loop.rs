//! The run loop: drives the runs that one runner was given, from their start until none is left.
//!
//! There is one loop for all operations. What differs is how many runs the runner holds:
//!
//! | operation | open at once | sent ahead |
//! | --- | --- | --- |
//! | a command, or one with a memory limit | 1 | none |
//! | short runs in a warm runner | 1 | up to [`sent_ahead::MOST`], so that they follow one another without a pause |
//! | `concurrency` above 1 | up to `concurrency` | none |
//!
//! [`RunLoop::drive`] waits for one thing at a time and handles it. It returns when no run is open, or when the
//! runner is of no more use ([`RunnerEnd`]); [`RunLoop::finish`] then removes processes and records what is left.
//! What is recorded of a run is decided in [`crate::ending`], which is pure.

mod abort;
mod finish;
mod frames;
mod hand_over;
mod out_of_memory;
mod polling;
mod sent_ahead;
mod timeout;
mod timers;

use std::io;

use rework_core::task::{claim::OperationVersion, progress::Line};
use rework_process::Exit;
use rework_wire::{connection::FramesError, frame::Frame};
use tokio::time::Instant;

use self::{polling::Polling, sent_ahead::SentAhead};
use crate::{
    active_run::ActiveRun,
    claimed_run::ClaimedRun,
    command::OutputFile,
    context::Context,
    ending::{End, RunnerEnd},
    life::{Event, LeaseLost},
    operations::Operation,
    runner::Runner,
    runner_message::{Scheduled, next_scheduled},
    start_run::Started,
};

/// The name of the log stream for what a process with several open runs writes past the SDK. Nobody can tell which
/// run wrote it, so each of them gets it.
const SHARED_STREAM: &str = "shared";

/// A runner with its runs.
pub(crate) struct RunLoop<'a> {
    context: &'a mut Context,
    operation: &'a Operation,
    version: OperationVersion,
    runner: Runner,
    /// The runner's revision, in words.
    revision: String,
    /// Where a command leaves its output.
    output_file: Option<OutputFile>,
    /// The most runs that may be open at once.
    concurrency: usize,
    /// Runs that have started, as far as the worker knows.
    open: Vec<ActiveRun>,
    /// Runs that the runner holds and has not started.
    ahead: SentAhead,
    /// Runs that have ended and are not recorded, since processes of theirs may be left.
    ended: Vec<(ActiveRun, End)>,
    /// When this loop started. No run of it started earlier.
    began: Instant,
    /// How many more runs the runner may be given before it is replaced (`--maxruns`).
    allowed: u32,
    /// Whether the runner is given no more runs.
    closed: bool,
    /// Whether a run was told to stop, after which the runner is not used again.
    worn: bool,
    /// Whether runs of this operation leave processes behind, so that they must run one at a time.
    leaves_processes: bool,
    polling: Polling,
    timers: timers::Timers,
    /// Index of the run whose abort request is checked next. Used only by a worker without a monitor, which has to ask
    /// the database itself.
    asked_about: usize,
}

/// One thing that the loop waited for.
enum Happened {
    Outside(Event),
    TimeIsUp,
    Frame(Result<Option<Frame>, FramesError>),
    Scheduled(usize, Scheduled),
    ClaimAnswered,
    Exited(io::Result<Exit>),
    Stdout(io::Result<Vec<u8>>),
    Stderr(io::Result<Vec<u8>>),
}

impl<'a> RunLoop<'a> {
    /// A loop for a runner that was given this run; `lines` were written while the runner started.
    pub(crate) fn new(
        context: &'a mut Context,
        operation: &'a Operation,
        started: Started,
        run: ClaimedRun,
        lines: Vec<Line>,
    ) -> RunLoop<'a> {
        let Started { runner, output_file } = started;
        let version = run.claimed.version;
        let leaves_processes = context.queue.is_alone(version.operation);
        RunLoop {
            version,
            revision: runner.revision.to_string(),
            output_file,
            concurrency: operation.concurrency(),
            open: vec![ActiveRun::new(run, lines)],
            ahead: SentAhead::new(runner.runs_in_series(operation)),
            ended: Vec::new(),
            began: Instant::now(),
            allowed: context.runners.more_runs(&runner),
            closed: false,
            worn: false,
            leaves_processes,
            polling: Polling::default(),
            timers: timers::Timers::new(&operation.definition.limits),
            asked_about: 0,
            context,
            operation,
            runner,
        }
    }

    /// Runs until no run is open, or the runner is of no more use.
    pub(crate) async fn drive(&mut self) -> Result<Option<RunnerEnd>, LeaseLost> {
        loop {
            self.fill();
            if let Some(end) = self.poll_or_listen() {
                return Ok(Some(end));
            }
            let ended = match self.next().await {
                Happened::Outside(event) => self.on_event(event)?,
                Happened::TimeIsUp => self.on_time(),
                Happened::Frame(frame) => self.on_frames(frame),
                Happened::Scheduled(place, answer) => self.on_scheduled(place, answer),
                Happened::ClaimAnswered => {
                    self.on_claim_answered();
                    None
                }
                Happened::Exited(exit) => Some(self.on_exit(exit)),
                Happened::Stdout(read) => self.on_stdout(read),
                Happened::Stderr(read) => self.on_stderr(read),
            };
            if ended.is_some() || self.open.is_empty() {
                return Ok(ended);
            }
            let recorder = &self.context.recorder;
            self.open.iter_mut().for_each(|run| run.look_after_lines(recorder));
        }
    }

    /// Waits for the next thing to handle. Nothing is read from the runner while the recorder is full.
    async fn next(&mut self) -> Happened {
        let timer = self.next_timer();
        self.asked_about = (self.asked_about + 1) % self.open.len();
        let fence = self.open[self.asked_about].fence();
        let Context { life, recorder, queue, alarm, .. } = &mut *self.context;
        let asked = queue.is_asked();
        let room = !recorder.is_full();
        let Runner { child, frames, stdout, stderr, .. } = &mut self.runner;
        tokio::select! {
            biased;
            event = life.next(Some(fence)) => Happened::Outside(event),
            () = alarm.until(timer) => Happened::TimeIsUp,
            frame = Runner::next(frames), if room => Happened::Frame(frame),
            (place, answer) = next_scheduled(&mut self.open) => Happened::Scheduled(place, answer),
            () = queue.arrival(), if asked => Happened::ClaimAnswered,
            exit = child.wait() => Happened::Exited(exit),
            read = stdout.read(), if room && stdout.is_open() => Happened::Stdout(read),
            read = stderr.read(), if room && stderr.is_open() => Happened::Stderr(read),
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
            Event::Retired => Ok(None),
        }
    }

    /// Handles what the process sent before it exited.
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
        let drained = |lines: &mut Vec<Line>| {
            if let Err(error) = runner.drain(lines) {
                tracing::warn!("the last output of a run could not be read: {error}");
            }
        };
        log_lines(self.concurrency, &mut self.open, drained);
    }
}

/// Gives the lines that `write` produces to the open run, or to each of several.
fn log_lines(concurrency: usize, open: &mut [ActiveRun], write: impl FnOnce(&mut Vec<Line>)) {
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
