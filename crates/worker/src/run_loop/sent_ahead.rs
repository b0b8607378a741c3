//! Runs that were sent to the runner ahead of their turn: it starts each one when the one before it has ended. All of them can
//! be taken back.

use std::collections::{HashMap, VecDeque};

use rework_core::task::complete::Completion;
use rework_wire::runner::ToRunner;

use super::RunLoop;
use crate::{abort::Abort, claimed_run::ClaimedRun, claimed_run::Key};

/// The most runs that are sent ahead. Large enough for 1 ms of runs that do nothing.
pub(super) const MOST: usize = 512;

/// Runs that the runner holds and has not started, as far as the worker knows.
#[derive(Debug)]
pub(super) struct SentAhead {
    /// Whether runs are sent ahead at all.
    is_used: bool,
    waiting: VecDeque<ClaimedRun>,
    /// Aborts of waiting runs, which the runner was told of and has not answered.
    aborts: HashMap<Key, Abort>,
    /// Why the waiting runs are being taken back; `None` if they are not.
    revoked: Option<String>,
    /// Runs that the runner refused to start behind the open one.
    returned: Vec<ClaimedRun>,
}

impl SentAhead {
    pub(super) fn new(is_used: bool) -> SentAhead {
        SentAhead {
            is_used,
            waiting: VecDeque::new(),
            aborts: HashMap::new(),
            revoked: None,
            returned: Vec::new(),
        }
    }

    /// How many runs wait in the runner.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many more may be sent. More are sent only when half of them have started, many at once.
    pub(super) fn room(&self) -> usize {
        let takes_more = self.is_used && self.revoked.is_none() && self.waiting.len() < MOST / 2;
        if takes_more { MOST - self.waiting.len() } else { 0 }
    }

    pub(super) fn push(&mut self, run: ClaimedRun) {
        self.waiting.push_back(run);
    }

    /// Whether the waiting runs are being taken back.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.is_some()
    }

    /// The run whose turn it is, with the abort that it was not told of in time.
    pub(super) fn start_next(&mut self) -> Option<(ClaimedRun, Option<Abort>)> {
        let run = self.waiting.pop_front()?;
        let abort = if self.aborts.is_empty() { None } else { self.aborts.remove(&run.key()) };
        Some((run, abort))
    }

    /// Everything that has not started, in order, and the aborts that did not reach their runs.
    pub(super) fn take_all(&mut self) -> (Vec<ClaimedRun>, Vec<Abort>) {
        let runs = self.returned.drain(..).chain(self.waiting.drain(..)).collect();
        (runs, self.aborts.drain().map(|(_, abort)| abort).collect())
    }
}

impl RunLoop<'_> {
    /// Returns to the queue whatever is claimed and has not started.
    pub(super) fn give_back(&mut self, why: &str) {
        self.context.queue.give_back(why, &self.context.recorder);
        for run in self.ahead.returned.drain(..) {
            self.context.recorder.complete(Completion::unbegun(run.claimed.fence, why));
        }
        self.revoke(why);
    }

    /// Asks the runner for the runs that it has not started.
    pub(super) fn revoke(&mut self, why: &str) {
        if self.ahead.waiting.is_empty() || self.ahead.revoked.is_some() {
            return;
        }
        self.ahead.revoked = Some(why.to_owned());
        let Some(frames) = &mut self.runner.frames else { return };
        for run in &self.ahead.waiting {
            let (task, run) = run.key();
            // Two numbers are within every limit of a frame.
            let _ = frames.put(&ToRunner::Revoke { task, run }, &[]);
        }
        frames.push();
    }

    /// Ends a run that is claimed and has not started.
    pub(super) fn abort_waiting(&mut self, abort: Abort) {
        let recorder = &self.context.recorder;
        let is_meant = |run: &ClaimedRun| abort.names(run.claimed.fence);
        if let Some(at) = self.ahead.returned.iter().position(is_meant) {
            let run = self.ahead.returned.remove(at);
            return recorder.complete(abort.completion(run.claimed.fence));
        }
        if !self.ahead.waiting.iter().any(is_meant) {
            return self.context.queue.abort(&abort, recorder);
        }
        let (task, run, reason) = (abort.task, abort.run, abort.reason.clone());
        self.ahead.aborts.insert((task, run), abort);
        if let Some(frames) = &mut self.runner.frames {
            let _ = frames.send(&ToRunner::Abort { task, run, reason }, &[]);
        }
    }

    /// The runner reports that a waiting run has not started and will not. `false` if no such run waits.
    pub(super) fn on_taken_back(&mut self, run: Key) -> bool {
        let ahead = &mut self.ahead;
        let Some(at) = ahead.waiting.iter().position(|waiting| waiting.key() == run) else {
            return false;
        };
        let Some(waiting) = ahead.waiting.remove(at) else { return false };
        self.runner.stdout.splitter.forget(run);
        self.runner.stderr.splitter.forget(run);
        let fence = waiting.claimed.fence;
        if let Some(abort) = ahead.aborts.remove(&run) {
            self.context.recorder.complete(abort.completion(fence));
        } else if let Some(why) = &ahead.revoked {
            self.context.recorder.complete(Completion::unbegun(fence, why));
        } else {
            // It found processes of the run before.
            self.leaves_processes = true;
            ahead.returned.push(waiting);
        }
        true
    }
}
