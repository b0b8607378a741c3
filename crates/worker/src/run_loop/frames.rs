//! Handles the frames of a runner: finds the run that each is about, and starts the next run when one has ended.

use rework_wire::{frame::Frame, frame_socket::FrameSocketError, runner::FromRunner};
use tokio::time::Instant;

use super::RunLoop;
use crate::{
    active_run::ActiveRun,
    ending::{RunEnd, RunnerEnd},
    runner_message::{self, Handled, Scheduled},
};

impl RunLoop<'_> {
    /// Handles a frame and those that were read together with it. Returns the reason if the runner
    /// cannot be used any more, otherwise `None`.
    pub(super) fn on_frames(
        &mut self,
        first: Result<Option<Frame>, FrameSocketError>,
    ) -> Option<RunnerEnd> {
        let mut next = first;
        let mut drained = false;
        loop {
            match next {
                Ok(Some(frame)) => match self.on_frame(frame) {
                    Ok(None) => {}
                    Ok(Some((index, end))) => {
                        // A run writes all of its output before it sends `done` or `failed`. One read is enough for all
                        // runs that ended.
                        if !std::mem::replace(&mut drained, true) {
                            self.drain_pipes();
                        }
                        self.on_end(index, end);
                    }
                    Err(broken) => return Some(broken),
                },
                Ok(None) => self.on_closed(),
                Err(error) => return Some(error.into()),
            }
            if self.open.is_empty() {
                break;
            }
            let Some(frames) = &mut self.runner.frames else { break };
            next = match frames.next_decoded() {
                Ok(None) => break,
                next => next,
            };
        }
        self.record_ended();
        None
    }

    /// Handles one frame. Returns the index and the end of the run that the frame ends; `None` if
    /// it ends none. `Err` if the runner cannot be used any more.
    fn on_frame(&mut self, frame: Frame) -> Result<Option<(usize, RunEnd)>, RunnerEnd> {
        let message = runner_message::message(&frame)
            .map_err(|error| RunnerEnd::Broken(error.to_string()))?;
        let run = runner_message::run_key(&message);
        if let FromRunner::Checked { number, reason } = &message {
            self.on_checked(*number, reason.as_deref());
            return Ok(None);
        }
        let Some(index) = self.open.iter().position(|open| run == Some(open.key())) else {
            if let FromRunner::Revoked { task, run } = message
                && self.on_revoked((task, run))
            {
                return Ok(None);
            }
            if runner_message::may_arrive_late(&message) {
                tracing::debug!("a frame of a run that has ended was ignored");
                return Ok(None);
            }
            return Err(RunnerEnd::Broken("a frame of a run that is not open".to_owned()));
        };
        let open = &mut self.open[index];
        let revocable = open.stop_reason.is_some() || self.sent_ahead.is_revoked();
        match open.handle(message, frame.body, revocable, &self.context.recorder) {
            Handled::Continue => Ok(None),
            Handled::Ended(end) => Ok(Some((index, end))),
            Handled::Broken(why) => Err(RunnerEnd::Broken(why)),
        }
    }

    /// Handles the end of a run. If another run was sent ahead, the runner has started it or is about to.
    fn on_end(&mut self, index: usize, end: RunEnd) {
        let mut ended_run = self.open.swap_remove(index);
        self.runner.runs += 1;
        // After an abort the code may be in a state that the next run should not inherit.
        self.must_be_replaced |= self.concurrency == 1
            && ended_run.stop_reason.is_some()
            && !matches!(end, RunEnd::NotStarted);
        if let Some((run, abort)) = self.sent_ahead.start_next() {
            let mut next = ActiveRun::new(run);
            if let Some(abort) = abort {
                next.stop_reason = Some(abort.stop_reason());
                next.kill_at = Some(Instant::now() + self.grace());
            }
            self.runner.stdout.splitter.advance(&mut ended_run.lines, &mut next.lines);
            self.runner.stderr.splitter.advance(&mut ended_run.lines, &mut next.lines);
            self.open.push(next);
        }
        self.ended.push((ended_run, end));
        self.timers.claim_now();
    }

    /// Handles that the runner has closed its socket. It is expected to exit soon.
    fn on_closed(&mut self) {
        self.runner.frames = None;
        self.accepts_no_runs = true;
        let last_grace = self.open.iter().filter_map(|run| run.kill_at).max();
        self.timers.expect_exit(last_grace);
    }

    /// Sends the answer to a run's request to schedule a task. Returns the reason if the runner
    /// cannot be used any more, otherwise `None`.
    pub(super) fn on_scheduled(&mut self, index: usize, answer: Scheduled) -> Option<RunnerEnd> {
        let answer = self.open[index].scheduled(answer);
        let frames = self.runner.frames.as_mut()?;
        frames.send(&answer, &[]).err().map(|error| RunnerEnd::Broken(error.to_string()))
    }
}
