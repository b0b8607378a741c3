//! Hands further runs to the runner: beside the open ones as far as the operation's `concurrency` allows, or ahead of
//! their turn.

use std::time::Duration;

use rework_core::task::complete::Completion;

use super::RunLoop;
use crate::{active_run::ActiveRun, claimed_run::ClaimedRun, revision::Revision, start_run};

/// The pause between two claims of a runner that has room and found no task: a monitor wakes only workers
/// that have nothing to do.
pub(super) const CLAIM_PAUSE: Duration = Duration::from_millis(200);

impl RunLoop<'_> {
    /// Hands over what is claimed while there is room, claims more in time, and returns to the queue what would wait for
    /// too long.
    pub(super) fn fill(&mut self) {
        if let Some(why) = self.context.life.retired() {
            let why = format!("its worker was leaving: {why}");
            self.closed = true;
            return self.give_back(&why);
        }
        if self.room() > 0 {
            self.hand_over_claimed();
            self.claim_more();
        }
        let queue = &mut self.context.queue;
        if let Some(next) = queue.next_version() {
            // The runner has older code than the next task wants: it is given no more, so that it can be replaced.
            self.closed |= next.operation == self.version.operation && next != self.version;
        }
        let waits = self.concurrency == 1 || !queue.is_empty();
        if waits && self.open.iter().any(|run| run.is_long) {
            self.give_back("the task before it took long");
        }
    }

    /// How many more runs the runner may be given now.
    pub(super) fn room(&self) -> usize {
        if self.closed {
            return 0;
        }
        let free = if self.concurrency > 1 {
            self.concurrency.saturating_sub(self.open.len())
        } else {
            let is_free = |run: &ActiveRun| run.stop.is_none() && !run.is_long;
            let waits = self.leaves_processes || !self.open.iter().all(is_free);
            if waits { 0 } else { self.ahead.room() }
        };
        free.min(self.allowed as usize)
    }

    fn hand_over_claimed(&mut self) {
        let mut code_is_current = None;
        let mut handed = 0;
        let room = self.room();
        while handed < room {
            let Some(run) = self.context.queue.next_of(self.version) else { break };
            if !*code_is_current.get_or_insert_with(|| self.code_is_current()) {
                self.closed = true;
                self.context.queue.put_back(vec![run]);
                break;
            }
            if !self.hand_over(run) {
                break;
            }
            handed += 1;
        }
        if handed > 0
            && let Some(frames) = &mut self.runner.frames
        {
            frames.push();
        }
    }

    /// Whether the file that the runner was started from is still the one on disk.
    fn code_is_current(&self) -> bool {
        let revision = Revision::of(&self.operation.code, self.version.revision);
        revision.is_ok_and(|revision| revision == self.runner.revision)
    }

    /// Hands over one run. `false` if the runner can be given no more.
    fn hand_over(&mut self, mut run: ClaimedRun) -> bool {
        match self.operation.fitting(std::mem::take(&mut run.claimed.input)) {
            Ok(input) => run.claimed.input = input,
            Err(verdict) => {
                let fence = run.claimed.fence;
                let refused = Completion::new(fence, verdict.outcome, verdict.reason);
                self.context.recorder.complete(refused);
                return true;
            }
        }
        let in_series = self.concurrency == 1;
        if start_run::send(&mut self.runner, self.operation, &run, in_series).is_err() {
            self.closed = true;
            self.context.queue.put_back(vec![run]);
            return false;
        }
        self.allowed -= 1;
        if in_series {
            self.ahead.push(run);
        } else {
            self.open.push(ActiveRun::new(run, Vec::new()));
        }
        true
    }

    /// Claims what can follow, so that it is there in time.
    fn claim_more(&mut self) {
        let room = self.room();
        let asks = self.asks_for_more();
        let queue = &mut self.context.queue;
        if self.concurrency == 1 {
            queue.look_ahead(self.ahead.len(), &self.context.recorder);
        } else if asks && self.timers.may_claim() {
            queue.ask_for(self.version.operation, room as u32, &self.context.recorder);
        }
    }

    /// Whether an operation with `concurrency` above 1 has room, and nothing that could fill it.
    pub(super) fn asks_for_more(&self) -> bool {
        let queue = &self.context.queue;
        self.concurrency > 1 && self.room() > 0 && queue.is_empty() && !queue.is_asked()
    }

    /// A claim was answered. If it brought nothing, the next one waits a moment.
    pub(super) fn on_claim_answered(&mut self) {
        if self.context.queue.is_empty() {
            self.timers.claim_after(CLAIM_PAUSE);
        }
    }
}
