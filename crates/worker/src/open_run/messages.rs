//! What a runner says of the run in front, and of those behind it.

use std::time::Duration;

use rework_core::wire::{connection::FramesError, frame::Frame, runner::FromRunner};
use tokio::time::Instant;

use super::{End, OpenRun};
use crate::{
    ending::Sentence,
    recorder::Recorder,
    said::{self, Heard, Scheduled},
};

/// From the end of a runner's socket to its exit.
pub(crate) const EXIT_FOLLOWS: Duration = Duration::from_secs(1);

impl OpenRun<'_> {
    pub(super) fn on_frame(
        &mut self,
        frame: Result<Option<Frame>, FramesError>,
        recorder: &Recorder,
    ) -> Option<End> {
        let frame = match frame {
            Ok(Some(frame)) => frame,
            // It closed its socket: its exit follows, or there is no use in it.
            Ok(None) => {
                self.runner.frames = None;
                self.front.kill_at.get_or_insert_with(|| Instant::now() + EXIT_FOLLOWS);
                return None;
            }
            Err(error) => {
                self.pass(Sentence::Broken(error.to_string()));
                // What cannot be read stays so, and would be found again at once, for ever.
                self.runner.frames = None;
                return None;
            }
        };
        match said::message(&frame) {
            Ok(message) => self.on_message(message, frame.body, recorder),
            Err(error) => {
                self.pass(Sentence::Broken(error.to_string()));
                None
            }
        }
    }

    fn on_message(
        &mut self,
        message: FromRunner,
        body: Vec<u8>,
        recorder: &Recorder,
    ) -> Option<End> {
        if said::run_of(&message) != Some(self.front.key()) {
            if let FromRunner::Revoked { task, run } = message
                && self.on_revoked((task, run), recorder)
            {
                return None;
            }
            if said::is_late(&message) {
                tracing::debug!("a frame of a run that has ended was left aside");
                return None;
            }
            self.pass(Sentence::Broken("a frame of a run that is not open".to_owned()));
            return None;
        }
        let revocable = self.front.sentence.is_some() || self.series.is_revoked();
        match self.front.hear(message, body, revocable, recorder) {
            Heard::On => None,
            Heard::End(end) => Some(end),
            Heard::Broken(why) => {
                self.pass(Sentence::Broken(why));
                None
            }
        }
    }

    pub(super) fn on_scheduled(&mut self, scheduled: Scheduled) {
        let answer = self.front.scheduled(scheduled);
        if let Some(frames) = &mut self.runner.frames
            && let Err(error) = frames.send(&answer, &[])
        {
            self.pass(Sentence::Broken(error.to_string()));
        }
    }
}
