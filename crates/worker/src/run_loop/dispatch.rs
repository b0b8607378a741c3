//! Sends further runs to the runner: as open runs, up to the operation's `concurrency`, or ahead, behind the open one.
//! Also claims more tasks in time.

use std::time::Duration;

use rework_core::task::complete::Completion;

use super::RunLoop;
use crate::{active_run::ActiveRun, claimed_run::ClaimedRun, revision::Revision, start_run};

/// The pause between two claims of a runner that has room and found no task. Without it the runner would claim all the
/// time, because a monitor wakes only idle workers.
pub(super) const CLAIM_PAUSE: Duration = Duration::from_millis(200);

impl RunLoop<'_> {
    /// Sends claimed runs to the runner while it has room, and claims more. Requeues runs that would wait too long
    /// behind a long run or a worker that retires.
    pub(super) fn dispatch_and_claim(&mut self) {
        self.give_back_paused();
        if let Some(why) = self.context.supervisor.retired() {
            let why = format!("its worker was leaving: {why}");
            self.accepts_no_runs = true;
            return self.requeue_not_started(&why);
        }
        if self.room() > 0 {
            self.dispatch_claimed();
            self.claim_more();
        }
        let queue = &mut self.context.queue;
        if let Some(next) = queue.next_version() {
            // The next task needs a newer revision of the code. So this runner receives no more runs and can be
            // replaced.
            self.accepts_no_runs |=
                next.operation == self.version.operation && next != self.version;
        }
        // Runs that wait for the answer of a check do not wait for another run.
        let others_wait = self.concurrency == 1 || (!queue.is_empty() && self.open_check.is_none());
        if others_wait && self.open.iter().any(|run| run.is_long) {
            self.requeue_not_started("the task before it took long");
        }
    }

    /// Returns how many more runs the runner may receive now.
    pub(super) fn room(&self) -> usize {
        if self.accepts_no_runs || self.context.recorder.is_paused(self.version.operation) {
            return 0;
        }
        let room = if self.concurrency > 1 {
            self.concurrency.saturating_sub(self.open.len())
        } else {
            let allows_next = |run: &ActiveRun| run.stop_reason.is_none() && !run.is_long;
            let must_wait = self.leaves_processes || !self.open.iter().all(allows_next);
            if must_wait { 0 } else { self.sent_ahead.room() }
        };
        room.min(self.runs_left as usize)
    }

    /// Sends runs from the local queue, and flushes the socket once for all of them.
    fn dispatch_claimed(&mut self) {
        let (mut code_is_current, mut may_dispatch) = (None, None);
        let mut dispatched = 0;
        let room = self.room();
        while dispatched < room {
            let Some(run) = self.context.queue.next_of(self.version) else { break };
            if !*may_dispatch.get_or_insert_with(|| self.may_dispatch()) {
                self.context.queue.push_front(vec![run]);
                break;
            }
            if !*code_is_current.get_or_insert_with(|| self.code_is_current()) {
                self.accepts_no_runs = true;
                self.context.queue.push_front(vec![run]);
                break;
            }
            if !self.dispatch(run) {
                break;
            }
            dispatched += 1;
        }
        if dispatched > 0
            && let Some(frames) = &mut self.runner.frames
        {
            frames.flush();
        }
    }

    /// Returns whether the file that the runner was started from is still the one on disk.
    fn code_is_current(&self) -> bool {
        let revision = Revision::of(&self.operation.code, self.version.revision);
        revision.is_ok_and(|revision| revision == self.runner.revision)
    }

    /// Validates the input of a run and sends the run to the runner. A run with an invalid input ends. Returns `false`
    /// if the runner cannot receive any more.
    fn dispatch(&mut self, mut run: ClaimedRun) -> bool {
        match self.operation.validate_input(std::mem::take(&mut run.claimed.input)) {
            Ok(input) => run.claimed.input = input,
            Err(result) => {
                let fence = run.claimed.fence;
                let end = Completion::new(fence, result.outcome, result.reason);
                self.context.recorder.complete(end);
                return true;
            }
        }
        let with_boundary = self.concurrency == 1;
        if start_run::send(&mut self.runner, self.operation, &run, with_boundary).is_err() {
            self.accepts_no_runs = true;
            self.context.queue.push_front(vec![run]);
            return false;
        }
        self.runs_left -= 1;
        if with_boundary {
            self.sent_ahead.push(run);
        } else {
            self.open.push(ActiveRun::new(run));
        }
        true
    }

    /// Claims tasks that can follow, so that they arrive in time.
    fn claim_more(&mut self) {
        let room = self.room();
        let wants_claim = self.wants_claim();
        let queue = &mut self.context.queue;
        if self.concurrency == 1 {
            queue.prefetch(self.sent_ahead.len(), &self.context.recorder);
        } else if wants_claim && self.timers.may_claim() {
            queue.claim_one_operation(self.version.operation, room as u32, &self.context.recorder);
        }
    }

    /// Returns whether an operation with `concurrency` above 1 has room, and no task is claimed or
    /// being claimed for it.
    pub(super) fn wants_claim(&self) -> bool {
        let queue = &self.context.queue;
        self.concurrency > 1 && self.room() > 0 && queue.is_empty() && !queue.has_pending_claim()
    }

    /// Handles the answer to a claim. If it brought nothing, the next claim waits for [`CLAIM_PAUSE`].
    pub(super) fn on_claim_answered(&mut self) {
        if self.context.queue.is_empty() {
            self.timers.claim_after(CLAIM_PAUSE);
        }
    }
}
