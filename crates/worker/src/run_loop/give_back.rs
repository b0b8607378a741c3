//! Gives runs back to the queue whose operation a user has paused, if they are claimed and have not started.

use std::time::Duration;

use rework_core::task::complete::Completion;
use tokio::time::Instant;

use super::RunLoop;
use crate::exclusions::PAUSED;

/// The pause between two checks whether a run that the runner has received has started. A runner that is not busy
/// starts it in less time.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

impl RunLoop<'_> {
    /// Requeues the runs of paused operations that wait in the local queue, and revokes those that wait in the runner.
    /// Tells the monitor when none of them can start any more.
    pub(super) fn give_back_paused(&mut self) {
        self.context.queue.requeue_paused(&self.context.recorder);
        self.timers.pauses_check_at = None;
        if self.context.recorder.is_paused(self.version.operation) {
            for run in self.sent_ahead.take_refused() {
                self.context.recorder.complete(Completion::not_started(run.claimed.fence, PAUSED));
            }
            self.revoke(PAUSED);
            // A run that the runner has received can start at any moment. It cannot start later once it has started.
            let may_start =
                self.sent_ahead.len() > 0 || self.open.iter().any(|run| !self.is_started(&run.run));
            if may_start {
                self.timers.pauses_check_at = Some(Instant::now() + CHECK_INTERVAL);
                return;
            }
        }
        self.context.supervisor.confirm_pauses();
    }
}
