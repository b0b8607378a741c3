//! Whether each frame and each byte of the runner wakes the worker, or the worker looks at the runner once a
//! millisecond. Looking is cheaper while many short runs follow one another.

use std::time::Duration;

use tokio::time::Instant;

use super::RunLoop;
use crate::ending::RunnerEnd;

/// With this many runs sent ahead the worker looks at the runner now and then instead of being woken.
const MANY: usize = 8;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// A run that takes longer than this is listened to again: its frames wake the worker.
const LISTEN: Duration = Duration::from_millis(5);

/// One look reads at most 256 KiB. This many looks take all that a socket's buffer holds, which is less than 4 MiB: a
/// runner that never stops sending cannot keep the worker from its timers.
const MAX_LOOKS: usize = 16;

/// How the worker learns of what the runner sends.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// When the worker looks at the runner next; `None` while the runner wakes the worker.
    pub(super) look_at: Option<Instant>,
}

impl RunLoop<'_> {
    /// Changes between looking and being woken, where that is due.
    pub(super) fn poll_or_listen(&mut self) -> Option<RunnerEnd> {
        let now = Instant::now();
        let is_short = self.open.first().is_some_and(|run| now < run.began + LISTEN);
        let polls = self.ahead.len() >= MANY && is_short;
        if polls == self.polling.look_at.is_some() {
            return None;
        }
        self.polling.look_at = polls.then_some(now + PAUSE);
        self.runner.listen(!polls).err().map(RunnerEnd::from)
    }

    /// Looks at a runner that does not wake the worker.
    pub(super) fn look(&mut self) -> Option<RunnerEnd> {
        self.polling.look_at = Some(Instant::now() + PAUSE);
        if self.context.recorder.is_full() {
            return None;
        }
        let frames = self.runner.frames.as_mut()?;
        let first = match frames.look() {
            Ok(open) => match frames.at_hand() {
                Ok(None) if open => {
                    self.drain_pipes();
                    return None;
                }
                next => next,
            },
            Err(error) => Err(error),
        };
        self.on_frames(first)
    }

    /// Handles all that the runner has sent by now, and nothing that it sends meanwhile. The kernel is asked, since
    /// the reactor may not have reported it yet.
    pub(super) fn read_frames_now(&mut self) -> Option<RunnerEnd> {
        if let Some(frames) = &mut self.runner.frames
            && frames.quiet().is_ok()
        {
            self.polling.look_at = Some(Instant::now());
        }
        for _ in 0..MAX_LOOKS {
            if self.open.is_empty() {
                break;
            }
            let Some(frames) = &mut self.runner.frames else { break };
            let first = match frames.look() {
                Ok(_) => match frames.at_hand() {
                    Ok(None) => break,
                    next => next,
                },
                Err(error) => Err(error),
            };
            if let Some(end) = self.on_frames(first) {
                return Some(end);
            }
        }
        None
    }
}
