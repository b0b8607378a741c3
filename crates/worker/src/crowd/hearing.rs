//! What the runner of a crowd says, and of which run.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::Poll,
};

use rework_core::wire::{
    connection::{Frames, FramesError},
    frame::Frame,
    runner::FromRunner,
};
use rework_process::Exit;
use tokio::time::Instant;

use super::{Crowd, doom::Doom};
use crate::{
    front::Front,
    hand::Hand,
    open_run::EXIT_FOLLOWS,
    recorder::Recorder,
    said::{self, Heard, Scheduled},
};

impl Crowd<'_> {
    /// What comes in one go: a frame that was waited for, and those that were read with it.
    pub(super) fn on_frames(
        &mut self,
        first: Result<Option<Frame>, FramesError>,
        recorder: &Recorder,
        behind: &mut Hand,
    ) -> Option<Doom> {
        let mut frame = first;
        loop {
            match frame {
                Ok(Some(frame)) => {
                    let heard = said::message(&frame);
                    let doom = match heard {
                        Ok(message) => self.on_message(message, frame.body, recorder, behind),
                        Err(error) => Some(Doom::Broken(error.to_string())),
                    };
                    if doom.is_some() {
                        return doom;
                    }
                }
                Ok(None) => {
                    self.runner.frames = None;
                    self.closed = true;
                    self.silent_at = Some(Instant::now() + EXIT_FOLLOWS);
                }
                Err(error) => return Some(Doom::Broken(error.to_string())),
            }
            frame = match self.runner.frames.as_mut()?.at_hand() {
                Ok(None) => return None,
                next => next,
            };
        }
    }

    fn on_message(
        &mut self,
        message: FromRunner,
        body: Vec<u8>,
        recorder: &Recorder,
        behind: &mut Hand,
    ) -> Option<Doom> {
        let run = said::run_of(&message);
        let Some(place) = self.open.iter().position(|front| run == Some(front.key())) else {
            let late = said::is_late(&message);
            return (!late).then(|| Doom::Broken("a frame of a run that is not open".to_owned()));
        };
        let front = &mut self.open[place];
        match front.hear(message, body, front.sentence.is_some(), recorder) {
            Heard::On => None,
            Heard::End(end) => {
                self.finish(place, end, recorder, behind);
                None
            }
            Heard::Broken(why) => Some(Doom::Broken(why)),
        }
    }

    pub(super) fn on_scheduled(&mut self, place: usize, answer: Scheduled) -> Option<Doom> {
        let answer = self.open[place].scheduled(answer);
        let sent = self.runner.frames.as_mut().map(|frames| frames.send(&answer, &[]));
        sent?.err().map(|error| Doom::Broken(error.to_string()))
    }

    /// All that the runner has said by now. The kernel is asked, not the reactor, which may not have heard of
    /// it yet.
    pub(super) fn hear_out(&mut self, recorder: &Recorder, behind: &mut Hand) -> Option<Doom> {
        let quiet = |frames: &mut Frames| frames.quiet().is_ok();
        if !self.runner.frames.as_mut().is_some_and(quiet) {
            return None;
        }
        let doom = self.hear_all(recorder, behind);
        let deaf = self.runner.frames.as_mut().and_then(|frames| frames.loud().err());
        doom.or(deaf.map(Doom::from))
    }

    fn hear_all(&mut self, recorder: &Recorder, behind: &mut Hand) -> Option<Doom> {
        while let Some(frames) = &mut self.runner.frames {
            let first = match frames.look() {
                Ok(_) => match frames.at_hand() {
                    Ok(None) => return None,
                    next => next,
                },
                Err(error) => Err(error),
            };
            let doom = self.on_frames(first, recorder, behind);
            if doom.is_some() {
                return doom;
            }
        }
        None
    }

    pub(super) fn last_words(
        &mut self,
        exit: std::io::Result<Exit>,
        recorder: &Recorder,
        behind: &mut Hand,
    ) -> Doom {
        match exit {
            Ok(exit) => self.hear_out(recorder, behind).unwrap_or(Doom::Exited(exit)),
            Err(error) => error.into(),
        }
    }
}

/// The next answer to a request to schedule, and whose it is.
pub(super) async fn answered(open: &mut [Front]) -> (usize, Scheduled) {
    poll_fn(|context| {
        for (place, front) in open.iter_mut().enumerate() {
            let Some((number, answer)) = front.scheduling.front_mut() else { continue };
            if let Poll::Ready(answered) = Pin::new(answer).poll(context) {
                let answer = (*number, said::answer(answered));
                front.scheduling.pop_front();
                return Poll::Ready((place, answer));
            }
        }
        Poll::Pending
    })
    .await
}
