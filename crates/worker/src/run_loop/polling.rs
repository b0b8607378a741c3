//! Switches between two ways of reading from a runner. Normally each frame and each line wakes the worker. While many
//! short runs follow one another, the worker polls the runner once a millisecond instead, which costs less.

use std::time::Duration;

use tokio::time::Instant;

use super::RunLoop;
use crate::ending::RunnerEnd;

/// The number of runs sent ahead from which the worker polls.
const MIN_SENT_AHEAD: usize = 8;

/// The pause between two polls. It bounds how much later an end of a run is noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// When the open run takes longer than this, the worker is woken by each frame again.
const MAX_POLLED_RUN: Duration = Duration::from_millis(5);

/// The most polls that read everything a runner has sent. One poll reads at most 256 KiB, and a socket buffer holds
/// less than 4 MiB. So a runner that never stops sending cannot keep the worker from its timers.
const MAX_POLLS: usize = 16;

/// Whether the worker polls the runner.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// When the worker polls the runner next; `None` while the runner wakes the worker.
    pub(super) poll_at: Option<Instant>,
}

impl RunLoop<'_> {
    /// Switches between polling and being woken, if that is due. Returns the reason if the runner
    /// cannot be used any more, otherwise `None`.
    pub(super) fn switch_polling(&mut self) -> Option<RunnerEnd> {
        let now = Instant::now();
        let is_short = self.open.first().is_some_and(|run| now < run.started_at + MAX_POLLED_RUN);
        let polls = self.sent_ahead.len() >= MIN_SENT_AHEAD && is_short;
        if polls == self.polling.poll_at.is_some() {
            return None;
        }
        self.polling.poll_at = polls.then_some(now + POLL_INTERVAL);
        self.runner.set_wake_on_data(!polls).err().map(RunnerEnd::from)
    }

    /// Polls a runner that does not wake the worker. Returns the reason if the runner cannot be
    /// used any more, otherwise `None`.
    pub(super) fn poll(&mut self) -> Option<RunnerEnd> {
        self.polling.poll_at = Some(Instant::now() + POLL_INTERVAL);
        if self.context.recorder.is_full() {
            return None;
        }
        let frames = self.runner.frames.as_mut()?;
        let first = match frames.poll() {
            Ok(open) => match frames.next_decoded() {
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

    /// Handles everything that the runner has sent by now. Reads from the kernel directly, because
    /// tokio's reactor may not have reported the data yet. Afterwards the runner is polled, until
    /// `switch_polling` lets it wake the worker again. Returns the reason if the runner cannot be
    /// used any more, otherwise `None`.
    pub(super) fn read_frames_now(&mut self) -> Option<RunnerEnd> {
        if let Some(frames) = &mut self.runner.frames
            && frames.poll_only().is_ok()
        {
            self.polling.poll_at = Some(Instant::now());
        }
        for _ in 0..MAX_POLLS {
            if self.open.is_empty() {
                break;
            }
            let Some(frames) = &mut self.runner.frames else { break };
            let first = match frames.poll() {
                Ok(_) => match frames.next_decoded() {
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
