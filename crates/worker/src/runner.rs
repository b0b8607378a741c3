//! A runner: the process in which an operation's own code lives, with all that a worker holds of
//! it. An SDK's runner speaks frames and stays warm; a command's lives for one run.

use std::{io, time::Duration};

use rework_core::task::progress::Line;
use rework_process::{Child, Exit, Tree};
use rework_wire::{
    connection::{Frames, FramesError},
    operation::Limits,
    runner::{FromRunner, ToRunner},
};
use tokio::time::Instant;

use crate::{operations::Operation, revision::Revision, stream::Stream};

/// How long processes may take to die before they are called unkillable.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Runs shorter than this are not asked for their memory where it is not limited.
const WORTH_A_LOOK: Duration = Duration::from_millis(100);

/// Lines that a runner may write before its `hello`; one that goes on finds its pipe full.
const MAX_EARLY_LINES: usize = 10_000;

/// A process and what holds it.
pub(crate) struct Runner {
    /// The code that it runs.
    pub revision: Revision,
    /// The process itself.
    pub child: Child,
    /// All of its processes.
    pub tree: Tree,
    /// Where an SDK's runner speaks; none: a command.
    pub frames: Option<Frames>,
    /// What it writes on fd 1.
    pub stdout: Stream,
    /// What it writes on fd 2.
    pub stderr: Stream,
    /// Runs may be sent ahead, behind the one in hand.
    pub ahead: bool,
    /// Its memory limit is kept by looking, not by the kernel.
    pub sampled: bool,
    /// How many of its runs have ended.
    pub runs: u32,
    /// When it last had work.
    pub used: Instant,
}

/// Why there is no runner.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// It could not be started at all.
    #[error("{}", chain(.0))]
    Launch(#[from] rework_process::LaunchError),
    /// The machine refused what a runner needs.
    #[error("a runner could not be prepared: {0}")]
    System(#[from] io::Error),
    /// It ended before it said `hello`.
    #[error("it ended before it was ready: {exit}{said}")]
    Ended {
        /// How, in words.
        exit: String,
        /// The last that it wrote, after `: `, or nothing.
        said: String,
    },
    /// It did not say `hello` in time.
    #[error("it was not ready after {} s, the start timeout", .0.as_secs())]
    Timeout(Duration),
    /// What it said is not `hello` of a version that we speak.
    #[error("it does not speak this version of the runner protocol: {0}")]
    Protocol(String),
}

/// Where an error came from matters more than that there was one.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

impl Runner {
    /// Waits for the `hello` of an SDK's runner. What it writes meanwhile belongs to the run that
    /// it was started for.
    pub(crate) async fn hello(
        &mut self,
        within: Duration,
        lines: &mut Vec<Line>,
    ) -> Result<(), StartError> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let version = ToRunner::Hello { version: rework_wire::runner::VERSION };
        frames.send(&version, &[]).map_err(|error| StartError::Protocol(error.to_string()))?;
        let late = tokio::time::sleep(within);
        tokio::pin!(late);
        loop {
            tokio::select! {
                frame = frames.next() => match frame {
                    Ok(Some(frame)) => {
                        self.ahead = greeted(frame.message())?;
                        return Ok(());
                    }
                    Ok(None) => break,
                    Err(error) => return Err(StartError::Protocol(error.to_string())),
                },
                read = self.stdout.read(), if self.stdout.is_open() && lines.len() < MAX_EARLY_LINES => self.stdout.splitter.push(&read?, lines),
                read = self.stderr.read(), if self.stderr.is_open() && lines.len() < MAX_EARLY_LINES => self.stderr.splitter.push(&read?, lines),
                () = &mut late => return Err(StartError::Timeout(within)),
            }
        }
        // The socket is closed: either it ends, or it is none of ours and only closed what it
        // did not know.
        let exit = tokio::select! {
            exit = self.child.wait() => exit?,
            () = &mut late => return Err(StartError::Timeout(within)),
        };
        self.drain(lines)?;
        Err(StartError::Ended { exit: exit.to_string(), said: last_words(lines) })
    }

    /// Reads all that is in its pipes now.
    pub(crate) fn drain(&mut self, lines: &mut Vec<Line>) -> io::Result<()> {
        self.stdout.drain(lines)?;
        self.stderr.drain(lines)
    }

    /// Its next message; none for ever for a command.
    pub(crate) async fn next(
        frames: &mut Option<Frames>,
    ) -> Result<Option<rework_wire::frame::Frame>, FramesError> {
        match frames {
            Some(frames) => frames.next().await,
            None => std::future::pending().await,
        }
    }

    /// Whatever it says or writes wakes us, or we look when we like.
    pub(crate) fn listen(&mut self, loud: bool) -> io::Result<()> {
        if loud {
            self.frames.as_mut().map_or(Ok(()), Frames::loud)?;
            self.stdout.loud()?;
            self.stderr.loud()
        } else {
            self.frames.as_mut().map_or(Ok(()), Frames::quiet)?;
            self.stdout.quiet()?;
            self.stderr.quiet()
        }
    }

    /// Sets the memory limit of the next run.
    pub(crate) fn limit_memory(&mut self, bytes: Option<i64>) -> io::Result<()> {
        self.tree.set_memory_limit(bytes.map(i64::unsigned_abs))?;
        if bytes.is_some() {
            self.tree.memory_peak_reset();
        }
        Ok(())
    }

    /// Whether runs of this operation may be sent ahead, behind the one that is open.
    pub(crate) fn runs_in_series(&self, operation: &Operation) -> bool {
        let limits = &operation.definition.limits;
        self.ahead && limits.memory_bytes.is_none() && operation.concurrency() == 1
    }

    /// The most memory that the run used that has just ended, in bytes. It is not measured for a short run without a
    /// limit in a warm runner, since measuring costs more than such a run.
    pub(crate) fn memory_peak(&self, limits: &Limits, took: Duration) -> Option<i64> {
        let asked = limits.memory_bytes.is_some() || (self.runs <= 1 && took > WORTH_A_LOOK);
        asked.then(|| self.tree.memory_peak()).filter(|peak| *peak > 0).map(|peak| peak as i64)
    }

    /// Whether its process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills all of it.
    pub(crate) async fn kill(&mut self) -> Result<Option<Exit>, rework_process::Unkillable> {
        self.tree.kill(PATIENCE).await?;
        Ok(self.child.wait().await.ok())
    }
}

/// Whether runs may be sent ahead.
fn greeted(hello: Result<FromRunner, rework_wire::frame::FrameError>) -> Result<bool, StartError> {
    match hello {
        Ok(FromRunner::Hello { version: rework_wire::runner::VERSION, ahead, .. }) => Ok(ahead),
        Ok(FromRunner::Hello { version, .. }) => Err(StartError::Protocol(format!(
            "it speaks version {version}, this `rework` version {}",
            rework_wire::runner::VERSION
        ))),
        Ok(_) => Err(StartError::Protocol("its first frame is not `hello`".to_owned())),
        Err(error) => Err(StartError::Protocol(error.to_string())),
    }
}

fn last_words(lines: &[Line]) -> String {
    lines
        .iter()
        .rev()
        .find(|line| !line.bytes.is_empty())
        .map(|line| format!(": {}", String::from_utf8_lossy(&line.bytes)))
        .unwrap_or_default()
}
