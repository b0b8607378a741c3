//! Runs that were sent to the runner ahead of time: the runner starts each one when the run before
//! it has ended, without waiting for the worker. The worker can revoke such runs.

use std::collections::{HashMap, VecDeque};

use rework_core::task::complete::Completion;
use rework_wire::runner::ToRunner;

use super::RunLoop;
use crate::{abort::Abort, claimed_run::ClaimedRun, claimed_run::RunKey};

/// The most runs that are sent ahead: enough for 1 ms of runs that do nothing, which is the pause between two polls.
pub(super) const MAX_SENT_AHEAD: usize = 512;

/// Runs that the runner has received and not started, as far as the worker knows.
#[derive(Debug)]
pub(super) struct SentAhead {
    /// Whether runs of this operation are sent ahead.
    is_used: bool,
    waiting: VecDeque<ClaimedRun>,
    /// Aborts of waiting runs that were sent to the runner and are not answered yet.
    pending_aborts: HashMap<RunKey, Abort>,
    /// Why the worker has revoked the runs in `waiting`; `None` if it has not.
    revoke_reason: Option<String>,
    /// Runs that the runner gave back by itself, because the run before them has left processes behind.
    refused: Vec<ClaimedRun>,
}

impl SentAhead {
    pub(super) fn new(is_used: bool) -> SentAhead {
        SentAhead {
            is_used,
            waiting: VecDeque::new(),
            pending_aborts: HashMap::new(),
            revoke_reason: None,
            refused: Vec::new(),
        }
    }

    /// Returns how many runs the runner has received and not started.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns how many more runs may be sent. Runs are sent only when half of the earlier ones have started, so that
    /// many go in one write.
    pub(super) fn room(&self) -> usize {
        let may_send =
            self.is_used && self.revoke_reason.is_none() && self.waiting.len() < MAX_SENT_AHEAD / 2;
        if may_send { MAX_SENT_AHEAD - self.waiting.len() } else { 0 }
    }

    pub(super) fn push(&mut self, run: ClaimedRun) {
        self.waiting.push_back(run);
    }

    /// Returns whether the waiting runs are being revoked.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoke_reason.is_some()
    }

    /// Removes and returns the run that the runner starts now; `None` if no run waits. Also returns
    /// the abort of the run, if the runner received the abort too late.
    pub(super) fn start_next(&mut self) -> Option<(ClaimedRun, Option<Abort>)> {
        let run = self.waiting.pop_front()?;
        let abort = if self.pending_aborts.is_empty() {
            None
        } else {
            self.pending_aborts.remove(&run.key())
        };
        Some((run, abort))
    }

    /// Removes the runs that the runner gave back by itself.
    pub(super) fn take_refused(&mut self) -> Vec<ClaimedRun> {
        std::mem::take(&mut self.refused)
    }

    /// Removes all runs that have not started, in order, and the unanswered aborts.
    pub(super) fn take_all(&mut self) -> (Vec<ClaimedRun>, Vec<Abort>) {
        let runs = self.refused.drain(..).chain(self.waiting.drain(..)).collect();
        (runs, self.pending_aborts.drain().map(|(_, abort)| abort).collect())
    }
}

impl RunLoop<'_> {
    /// Requeues all claimed runs that have not started.
    pub(super) fn requeue_not_started(&mut self, reason: &str) {
        self.context.queue.requeue_all(reason, &self.context.recorder);
        for run in self.sent_ahead.take_refused() {
            self.context.recorder.complete(Completion::not_started(run.claimed.fence, reason));
        }
        self.revoke(reason);
    }

    /// Revokes the runs that wait in the runner.
    pub(super) fn revoke(&mut self, reason: &str) {
        if self.sent_ahead.waiting.is_empty() || self.sent_ahead.revoke_reason.is_some() {
            return;
        }
        self.sent_ahead.revoke_reason = Some(reason.to_owned());
        let Some(frames) = &mut self.runner.frames else { return };
        for run in &self.sent_ahead.waiting {
            let (task, run) = run.key();
            // A message with two numbers cannot exceed the limits of a frame.
            let _ = frames.queue(&ToRunner::Revoke { task, run }, &[]);
        }
        frames.flush();
    }

    /// Carries out the abort of a run that is claimed and has not started.
    pub(super) fn abort_waiting(&mut self, abort: Abort) {
        let recorder = &self.context.recorder;
        let is_aborted = |run: &ClaimedRun| abort.concerns(run.claimed.fence);
        if let Some(at) = self.sent_ahead.refused.iter().position(is_aborted) {
            let run = self.sent_ahead.refused.remove(at);
            return recorder.complete(abort.completion(run.claimed.fence));
        }
        if !self.sent_ahead.waiting.iter().any(is_aborted) {
            return self.context.queue.abort(&abort, recorder);
        }
        let (task, run, reason) = (abort.task, abort.run, abort.reason.clone());
        self.sent_ahead.pending_aborts.insert((task, run), abort);
        if let Some(frames) = &mut self.runner.frames {
            let _ = frames.send(&ToRunner::Abort { task, run, reason }, &[]);
        }
    }

    /// Handles `revoked`: the runner reports that a waiting run has not started and will not. Returns `false` if no
    /// such run waits.
    pub(super) fn on_revoked(&mut self, run: RunKey) -> bool {
        let ahead = &mut self.sent_ahead;
        let Some(at) = ahead.waiting.iter().position(|waiting| waiting.key() == run) else {
            return false;
        };
        let Some(waiting) = ahead.waiting.remove(at) else { return false };
        self.runner.stdout.splitter.forget(run);
        self.runner.stderr.splitter.forget(run);
        let fence = waiting.claimed.fence;
        if let Some(abort) = ahead.pending_aborts.remove(&run) {
            self.context.recorder.complete(abort.completion(fence));
        } else if let Some(reason) = &ahead.revoke_reason {
            self.context.recorder.complete(Completion::not_started(fence, reason));
        } else {
            // Nobody revoked this run: the runner has found processes of the run before it.
            self.leaves_processes = true;
            ahead.refused.push(waiting);
        }
        true
    }
}
