//! An open run: from the moment its code begins until it has returned, exited, or must be killed;
//! and, of an operation whose runs are short, those that follow it in the same runner.

mod messages;
mod series;

use std::time::Duration;

use nix::sys::signal::Signal;
use rework_core::{
    task::{fence::Fence, progress::Line},
    wire::{
        connection::FramesError,
        frame::Frame,
        runner::{Failure, ToRunner},
    },
};
use rework_process::Exit;
use tokio::time::Instant;

pub(crate) use self::{messages::EXIT_FOLLOWS, series::Series};
use crate::{
    alarm::Alarm,
    ending::Sentence,
    front::{Front, SAMPLE},
    hand::Hand,
    life::{Event, Life},
    operations::Operation,
    pace::LONG,
    recorder::{Held, Recorder},
    runner::Runner,
    said,
};

/// So many looks take all that a socket holds, which is less than 4 MiB.
const LOOKS: usize = 16;

/// A run in progress, and what follows it.
pub(crate) struct OpenRun<'a> {
    /// Where it runs.
    pub runner: &'a mut Runner,
    /// What it is a run of.
    pub operation: &'a Operation,
    /// Its revision, in words.
    pub revision: String,
    /// The run itself.
    pub front: Front,
    /// Those that follow it.
    pub series: Series,
}

/// How an open run came to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// The code says that it returned.
    Done,
    /// The code says that it failed.
    Failed(Failure),
    /// It was asked to end before it had begun, and will not begin.
    Revoked,
    /// The process ended.
    Exited(Exit),
    /// The grace is over: all of it is to be killed.
    GraceOver,
    /// The run is somebody else's now: all of it is to be killed, and nothing recorded.
    LeaseLost,
}

impl<'a> OpenRun<'a> {
    /// Begins now.
    pub(crate) fn new(
        held: Held,
        runner: &'a mut Runner,
        operation: &'a Operation,
        lines: Vec<Line>,
        series: Series,
    ) -> OpenRun<'a> {
        let front = Front::new(held, &operation.definition.limits, lines);
        OpenRun { operation, revision: runner.revision.to_string(), runner, front, series }
    }

    /// The fence of the run in front.
    pub(crate) fn fence(&self) -> Fence {
        self.front.fence()
    }

    /// Until the end of the last run. What waits `behind` goes back to the queue when one takes long.
    pub(crate) async fn drive(
        &mut self,
        life: &mut Life,
        recorder: &Recorder,
        behind: &mut Hand,
        alarm: &mut Alarm,
    ) -> End {
        loop {
            self.feed(life, recorder, behind);
            let timer = self.next_timer(recorder);
            let hungry = self.series.is_hungry() && behind.is_asked();
            let fence = self.fence();
            let Runner { child, frames, stdout, stderr, .. } = &mut *self.runner;
            let front = &mut self.front;
            let room = !recorder.is_full();
            let read = tokio::select! {
                biased;
                event = life.next(Some(fence)) => match self.on_event(event, recorder, behind) {
                    Some(end) => return end,
                    None => Ok(()),
                },
                () = alarm.until(timer) => match self.on_timer(recorder, behind) {
                    Some(end) => return end,
                    None => Ok(()),
                },
                frame = Runner::next(frames), if room => match self.on_frames(frame, recorder, behind) {
                    Some(end) => return end,
                    None => Ok(()),
                },
                scheduled = said::first(&mut front.scheduling) => {
                    self.on_scheduled(scheduled);
                    Ok(())
                }
                () = behind.arrival(), if hungry => Ok(()),
                exit = child.wait() => match exit {
                    Ok(exit) => return self.last_words(exit, recorder, behind),
                    Err(error) => Err(error),
                },
                read = stdout.read(), if room && stdout.is_open() => {
                    read.map(|bytes| stdout.splitter.push(&bytes, &mut front.lines))
                }
                read = stderr.read(), if room && stderr.is_open() => {
                    read.map(|bytes| stderr.splitter.push(&bytes, &mut front.lines))
                }
            };
            if let Err(error) = read {
                self.pass(Sentence::Broken(error.to_string()));
            }
            if let Some(why) = life.retired() {
                let why = format!("its worker was leaving: {why}");
                self.give_back(&why, recorder, behind);
            } else if self.front.is_long {
                self.give_back("the task before it took long", recorder, behind);
            }
            self.front.look_after_lines(recorder);
        }
    }

    fn on_event(&mut self, event: Event, recorder: &Recorder, behind: &mut Hand) -> Option<End> {
        match event {
            Event::Abort(abort) if abort.names(self.fence()) => {
                // It may have ended in the meantime, and the next one begun.
                let end = self.hear_out(recorder, behind);
                if end.is_none() && abort.names(self.fence()) {
                    self.pass(Sentence::Abort(abort.cause, abort.reason));
                }
                end
            }
            Event::Abort(abort) => {
                self.abort_behind(abort, recorder, behind);
                None
            }
            Event::LeaseLost => Some(End::LeaseLost),
            Event::Woken | Event::Retired => None,
        }
    }

    fn next_timer(&self, recorder: &Recorder) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let room = recorder.is_full().then(|| Instant::now() + SAMPLE);
        let own = self.front.timer(&self.operation.definition.limits);
        [own, self.series.look_at, room].into_iter().flatten().fold(far, Instant::min)
    }

    /// Whatever is due.
    fn on_timer(&mut self, recorder: &Recorder, behind: &mut Hand) -> Option<End> {
        let due = |at: Option<Instant>, now: Instant| at.is_some_and(|at| at <= now);
        // First what it has said: it may be over.
        if due(self.series.look_at, Instant::now())
            && let Some(end) = self.look(recorder, behind)
        {
            return Some(end);
        }
        let (now, limits) = (Instant::now(), &self.operation.definition.limits);
        let (kills, timed_out) =
            (due(self.front.kill_at, now), due(self.front.timeout_at(limits), now));
        if kills || timed_out {
            // It may have ended in the meantime, and the next one begun.
            let front = self.front.key();
            let end = self.hear_out(recorder, behind);
            if end.is_some() || self.front.key() != front {
                return end;
            }
            if kills {
                return Some(End::GraceOver);
            }
        }
        if !self.front.is_long && now >= self.front.began + LONG {
            self.front.is_long = true;
            recorder.begin(self.fence(), self.front.began, self.revision.clone());
        }
        if self.front.flush_is_due(now) {
            self.front.flush(recorder);
        }
        if timed_out {
            let limit = limits.timeout_ms.unwrap_or_default().unsigned_abs();
            self.pass(Sentence::Timeout(Duration::from_millis(limit)));
        }
        if due(self.front.sample_at, now) {
            self.front.sample_at = Some(now + SAMPLE);
            if let Some(sentence) = self.over_memory() {
                // It would only take more: there is no grace.
                self.front.sentence.get_or_insert(sentence);
                self.front.kill_at = Some(now);
            }
        }
        None
    }

    /// What comes in one go: a frame that was waited for, and those that were read with it.
    fn on_frames(
        &mut self,
        first: Result<Option<Frame>, FramesError>,
        recorder: &Recorder,
        behind: &mut Hand,
    ) -> Option<End> {
        let mut frame = first;
        let mut drained = false;
        loop {
            if let Some(end) = self.on_frame(frame, recorder) {
                if !self.series.has_more() {
                    return Some(end);
                }
                // What ended runs wrote, they wrote before they said so.
                if !std::mem::replace(&mut drained, true) {
                    self.drain();
                }
                self.advance(end);
            }
            let Some(frames) = &mut self.runner.frames else { break };
            frame = match frames.at_hand() {
                Ok(None) => break,
                next => next,
            };
        }
        self.settle(recorder, behind);
        None
    }

    /// What a process said before it ended.
    fn last_words(&mut self, exit: Exit, recorder: &Recorder, behind: &mut Hand) -> End {
        self.hear_out(recorder, behind).unwrap_or(End::Exited(exit))
    }

    /// All that it has said by now, and not what it goes on to say. The kernel is asked, not the reactor, which
    /// may not have heard of it yet.
    fn hear_out(&mut self, recorder: &Recorder, behind: &mut Hand) -> Option<End> {
        if let Some(frames) = &mut self.runner.frames
            && frames.quiet().is_ok()
        {
            self.series.look_at = Some(Instant::now());
        }
        for _ in 0..LOOKS {
            let Some(frames) = &mut self.runner.frames else { break };
            let first = match frames.look() {
                Ok(_) => match frames.at_hand() {
                    Ok(None) => break,
                    next => next,
                },
                Err(error) => Err(error),
            };
            if let Some(end) = self.on_frames(first, recorder, behind) {
                return Some(end);
            }
        }
        None
    }

    /// Reads all that is in its pipes now.
    pub(crate) fn drain(&mut self) {
        if let Err(error) = self.runner.drain(&mut self.front.lines) {
            tracing::warn!("what a run wrote last could not be read: {error}");
        }
    }

    /// The sentence for a tree that is past its memory.
    pub(crate) fn over_memory(&mut self) -> Option<Sentence> {
        let limit = self.operation.definition.limits.memory_bytes?.unsigned_abs();
        let used = self.runner.tree.exceeded()?;
        Some(Sentence::Memory { used, limit, sampled: self.runner.sampled })
    }

    /// The run is to end: it is asked to, and killed when its grace is over.
    fn pass(&mut self, sentence: Sentence) {
        if self.front.sentence.is_some() {
            return;
        }
        let reason = sentence.verdict().reason.unwrap_or_default();
        let broken = matches!(sentence, Sentence::Broken(_));
        self.front.kill_at =
            Some(Instant::now() + if broken { Duration::ZERO } else { self.grace() });
        self.front.sentence = Some(sentence);
        let asked = match &mut self.runner.frames {
            Some(frames) => {
                let (task, run) = self.front.key();
                frames.send(&ToRunner::Abort { task, run, reason }, &[]).is_ok()
            }
            None => self.runner.tree.signal(Signal::SIGTERM).is_ok(),
        };
        if !asked {
            self.front.kill_at = Some(Instant::now());
        }
        self.revoke("its runner was to end");
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.operation.definition.limits.grace_ms.unsigned_abs())
    }
}
