//! Frames of the runner: which run each is about, and what the end of a run brings about.

use rework_wire::{connection::FramesError, frame::Frame, runner::FromRunner};
use tokio::time::Instant;

use super::RunLoop;
use crate::{
    active_run::ActiveRun,
    ending::{End, RunnerEnd},
    runner_message::{self, Handled, Scheduled},
};

impl RunLoop<'_> {
    /// Handles a frame and those that were read together with it.
    pub(super) fn on_frames(
        &mut self,
        first: Result<Option<Frame>, FramesError>,
    ) -> Option<RunnerEnd> {
        let mut next = first;
        let mut drained = false;
        loop {
            match next {
                Ok(Some(frame)) => match self.on_frame(frame) {
                    Ok(None) => {}
                    Ok(Some((place, end))) => {
                        // A run writes all its output before it reports its end.
                        if !std::mem::replace(&mut drained, true) {
                            self.drain_pipes();
                        }
                        self.on_end(place, end);
                    }
                    Err(broken) => return Some(broken),
                },
                Ok(None) => self.on_closed(),
                Err(error) => return Some(RunnerEnd::Broken(error.to_string())),
            }
            if self.open.is_empty() {
                break;
            }
            let Some(frames) = &mut self.runner.frames else { break };
            next = match frames.at_hand() {
                Ok(None) => break,
                next => next,
            };
        }
        self.record_ended();
        None
    }

    /// The place and the end of the run that this frame ends, if it ends one.
    fn on_frame(&mut self, frame: Frame) -> Result<Option<(usize, End)>, RunnerEnd> {
        let message = runner_message::message(&frame)
            .map_err(|error| RunnerEnd::Broken(error.to_string()))?;
        let run = runner_message::run_of(&message);
        let Some(place) = self.open.iter().position(|open| run == Some(open.key())) else {
            if let FromRunner::Revoked { task, run } = message
                && self.on_taken_back((task, run))
            {
                return Ok(None);
            }
            if runner_message::is_late(&message) {
                tracing::debug!("a frame of a run that has ended was left aside");
                return Ok(None);
            }
            return Err(RunnerEnd::Broken("a frame of a run that is not open".to_owned()));
        };
        let open = &mut self.open[place];
        let revocable = open.stop.is_some() || self.ahead.is_revoked();
        match open.handle(message, frame.body, revocable, &self.context.recorder) {
            Handled::GoesOn => Ok(None),
            Handled::Ended(end) => Ok(Some((place, end))),
            Handled::Broken(why) => Err(RunnerEnd::Broken(why)),
        }
    }

    /// A run is over. If another was sent ahead, it has started or is about to.
    fn on_end(&mut self, place: usize, end: End) {
        let mut over = self.open.swap_remove(place);
        self.runner.runs += 1;
        // An abort may leave the code of an only run in a state that the next one should not meet.
        self.worn |=
            self.concurrency == 1 && over.stop.is_some() && !matches!(end, End::NotStarted);
        if let Some((run, abort)) = self.ahead.start_next() {
            let mut next = ActiveRun::new(run, Vec::new());
            if let Some(abort) = abort {
                next.stop = Some(abort.stop_reason());
                next.kill_at = Some(Instant::now() + self.grace());
            }
            self.runner.stdout.splitter.advance(&mut over.lines, &mut next.lines);
            self.runner.stderr.splitter.advance(&mut over.lines, &mut next.lines);
            self.open.push(next);
        }
        self.ended.push((over, end));
        self.timers.claim_now();
    }

    /// The runner closed its socket: its exit follows, or it is of no more use.
    fn on_closed(&mut self) {
        self.runner.frames = None;
        self.closed = true;
        let last_grace = self.open.iter().filter_map(|run| run.kill_at).max();
        self.timers.exit_is_due(last_grace);
    }

    /// Sends the answer to a run's request to schedule a task.
    pub(super) fn on_scheduled(&mut self, place: usize, answer: Scheduled) -> Option<RunnerEnd> {
        let answer = self.open[place].scheduled(answer);
        let frames = self.runner.frames.as_mut()?;
        frames.send(&answer, &[]).err().map(|error| RunnerEnd::Broken(error.to_string()))
    }
}
