//! A runner: the process that executes an operation's code, with everything that the worker needs to use it. A runner
//! of an SDK exchanges frames with the worker and can stay warm after a run. A command lives for one run.

use std::{io, pin::pin, time::Duration};

use rework_core::task::progress::NewLogLine;
use rework_process::{Child, Exit, Tree};
use rework_wire::{
    frame_socket::{FrameSocket, FrameSocketError},
    operation::Limits,
    runner::{FromRunner, ToRunner, VERSION},
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::{
    active_run::{ActiveRun, FLUSH_INTERVAL},
    operations::Operation,
    output_stream::OutputStream,
    recorder::Recorder,
    revision::Revision,
    start_error::StartError,
};

/// How long processes may take to die after SIGKILL before they are reported as unkillable.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Without a memory limit, the memory of shorter runs is not measured.
const MIN_MEASURED_RUN: Duration = Duration::from_millis(100);

/// A runner process and its channels.
pub(crate) struct Runner {
    /// The revision of the code that the runner executes.
    pub revision: Revision,
    /// The process itself.
    pub child: Child,
    /// The process tree: the process and all that descends from it.
    pub tree: Tree,
    /// The socket for frames; `None` for a command, or after the runner has closed it.
    pub frames: Option<FrameSocket>,
    /// The standard output of the runner.
    pub stdout: OutputStream,
    /// The standard error of the runner.
    pub stderr: OutputStream,
    /// Whether the runner accepts runs ahead of time, while another run is open.
    pub accepts_runs_ahead: bool,
    /// Whether the worker measures the memory of the runner, because no cgroup limits it.
    pub sampled: bool,
    /// The number of runs of this runner that have ended.
    pub runs: u32,
    /// When the last run of this runner ended, or when the runner started if no run has ended yet.
    pub last_used: Instant,
}

/// Returns the timer that writes the lines of a runner that is not ready yet.
fn flush_interval() -> Interval {
    let mut flush = interval(FLUSH_INTERVAL);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    flush
}

fn push_pieces(streams: [&mut OutputStream; 2], now: Instant, lines: &mut Vec<NewLogLine>) {
    for stream in streams {
        stream.splitter.push_piece(now, lines);
    }
}

impl Runner {
    /// Waits for the `hello` of a runner of an SDK. The output of the runner meanwhile is logged for `run`, the run
    /// that it was started for. While the recorder is full, the runner's pipes are not read, so it may block, and the
    /// timeout begins again when they are read again.
    pub(crate) async fn hello(
        &mut self,
        start_timeout: Duration,
        run: &mut ActiveRun,
        recorder: &Recorder,
    ) -> Result<(), StartError> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let path = &self.revision.code.path;
        let protocol = |why: String| StartError::Protocol { path: path.clone(), why };
        let too_late = || StartError::Timeout { path: path.clone(), limit: start_timeout };
        let hello = ToRunner::Hello { version: VERSION };
        frames.send(&hello, &[]).map_err(|error| protocol(error.to_string()))?;
        let mut timeout = pin!(tokio::time::sleep(start_timeout));
        let mut flush = flush_interval();
        let mut last = String::new();
        loop {
            remember_last_line(&mut last, &run.lines);
            run.schedule_flush(recorder);
            let may_read = !recorder.is_full();
            if !may_read {
                timeout.as_mut().reset(Instant::now() + start_timeout);
            }
            tokio::select! {
                frame = frames.next() => match frame {
                    Ok(Some(frame)) => {
                        self.accepts_runs_ahead = check_hello(frame.message()).map_err(protocol)?;
                        return Ok(());
                    }
                    Ok(None) => break,
                    Err(FrameSocketError::Socket(error)) => return Err(error.into()),
                    Err(FrameSocketError::Frame(error)) => return Err(protocol(error.to_string())),
                },
                read = self.stdout.read(), if self.stdout.is_open() && may_read => {
                    self.stdout.splitter.push(&read?, &mut run.lines);
                }
                read = self.stderr.read(), if self.stderr.is_open() && may_read => {
                    self.stderr.splitter.push(&read?, &mut run.lines);
                }
                _ = flush.tick() => {
                    let streams = [&mut self.stdout, &mut self.stderr];
                    push_pieces(streams, Instant::now(), &mut run.lines);
                    remember_last_line(&mut last, &run.lines);
                    run.flush(recorder);
                }
                () = &mut timeout => return Err(too_late()),
            }
        }
        // The socket is closed. Either the process exits, or it is a program without an SDK that closed an unknown
        // descriptor.
        let exit = tokio::select! {
            exit = self.child.wait() => exit?,
            () = timeout => return Err(too_late()),
        };
        Err(self.ended_before_hello(exit, run, last))
    }

    /// Returns the error of a runner that has exited before its `hello`. `last_line` is the last line that it wrote so
    /// far.
    fn ended_before_hello(
        &mut self,
        exit: Exit,
        run: &mut ActiveRun,
        mut last_line: String,
    ) -> StartError {
        let path = self.revision.code.path.clone();
        let out_of_memory = self.tree.memory_exceeded().is_some();
        self.finish_output(&mut run.lines);
        remember_last_line(&mut last_line, &run.lines);
        StartError::Ended { path, exit, last_line, out_of_memory }
    }

    /// Reads the rest of the output of a runner that executes no run, and ends the last line of each stream.
    pub(crate) fn finish_output(&mut self, lines: &mut Vec<NewLogLine>) {
        if let Err(error) = self.drain(lines) {
            tracing::warn!("the last output of a runner could not be read: {error}");
        }
        self.stdout.splitter.finish(lines);
        self.stderr.splitter.finish(lines);
    }

    /// Returns when an unfinished line has waited long enough to become a row of the log; `None` if there is none.
    pub(crate) fn piece_due_at(&self) -> Option<Instant> {
        let streams = [&self.stdout, &self.stderr];
        streams.into_iter().filter_map(|stream| stream.splitter.piece_due_at()).min()
    }

    /// Appends unfinished lines that have waited long enough to `lines`.
    pub(crate) fn push_pieces(&mut self, now: Instant, lines: &mut Vec<NewLogLine>) {
        push_pieces([&mut self.stdout, &mut self.stderr], now, lines);
    }

    /// Reads everything that is in the pipes of the runner now.
    pub(crate) fn drain(&mut self, lines: &mut Vec<NewLogLine>) -> io::Result<()> {
        self.stdout.drain(lines)?;
        self.stderr.drain(lines)
    }

    /// Waits for the next frame of a runner; `None` if the runner has closed its socket. Waits
    /// forever if the runner has no socket.
    pub(crate) async fn next_frame(
        frames: &mut Option<FrameSocket>,
    ) -> Result<Option<rework_wire::frame::Frame>, FrameSocketError> {
        match frames {
            Some(frames) => frames.next().await,
            None => std::future::pending().await,
        }
    }

    /// Sets whether frames and output wake the worker. Otherwise the worker must poll.
    pub(crate) fn set_wake_on_data(&mut self, wakes: bool) -> io::Result<()> {
        if wakes {
            self.frames.as_mut().map_or(Ok(()), FrameSocket::wake_on_data)?;
            self.stdout.wake_on_data()?;
            self.stderr.wake_on_data()
        } else {
            self.frames.as_mut().map_or(Ok(()), FrameSocket::poll_only)?;
            self.stdout.poll_only()?;
            self.stderr.poll_only()
        }
    }

    /// Sets the memory limit for the next run (`None` for no limit), and resets the measured peak
    /// if there is a limit.
    pub(crate) fn limit_memory(&mut self, bytes: Option<i64>) -> io::Result<()> {
        self.tree.set_memory_limit(bytes.map(i64::unsigned_abs))?;
        if bytes.is_some() {
            self.tree.reset_memory_peak();
        }
        Ok(())
    }

    /// Returns whether further runs of this operation may be sent ahead, while one is open. With a
    /// memory limit they may not, because the limit applies to each run.
    pub(crate) fn can_send_ahead(&self, operation: &Operation) -> bool {
        let limits = &operation.definition.limits;
        self.accepts_runs_ahead && limits.memory_bytes.is_none() && operation.concurrency() == 1
    }

    /// Returns the peak memory of the run that has just ended, in bytes. `None` for a short run without a limit in a
    /// warm runner: measuring would cost more than such a run.
    pub(crate) fn memory_peak(&self, limits: &Limits, took: Duration) -> Option<i64> {
        let is_measured =
            limits.memory_bytes.is_some() || (self.runs <= 1 && took > MIN_MEASURED_RUN);
        is_measured
            .then(|| self.tree.memory_peak())
            .filter(|peak| *peak > 0)
            .map(|peak| peak as i64)
    }

    /// Returns whether the process of the runner has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the whole process tree of the runner, and returns the exit of the runner, or `None` if
    /// it cannot be read. `Err` if processes are left after [`KILL_TIMEOUT`].
    pub(crate) async fn kill(&mut self) -> Result<Option<Exit>, rework_process::Unkillable> {
        self.tree.kill(KILL_TIMEOUT).await?;
        Ok(self.child.wait().await.ok())
    }
}

/// Checks the first frame of a runner. Returns whether the runner accepts runs ahead of time. `Err` describes what is
/// wrong.
fn check_hello(hello: Result<FromRunner, rework_wire::frame::FrameError>) -> Result<bool, String> {
    match hello {
        Ok(FromRunner::Hello {
            version: rework_wire::runner::VERSION, accepts_runs_ahead, ..
        }) => Ok(accepts_runs_ahead),
        Ok(FromRunner::Hello { version, .. }) => Err(format!(
            "it speaks version {version}, and this `rework` speaks version {}",
            rework_wire::runner::VERSION
        )),
        Ok(_) => Err("its first frame is not `hello`".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Sets `last` to the last line that is not empty, after `: `. Does nothing if there is none.
fn remember_last_line(last: &mut String, lines: &[NewLogLine]) {
    if let Some(line) = lines.iter().rfind(|line| !line.bytes.is_empty()) {
        *last = format!(": {}", String::from_utf8_lossy(&line.bytes));
    }
}
