//! The check of the runs after a recovery of the server (`recovery_check.rs`): when it starts, and what its result means.

use rework_core::lease::lifeline::LifelineEvent;
use rework_wire::worker::FromWorker;

use super::Supervisor;

impl Supervisor {
    /// Starts the check after a recovery of the server. If it was done already, reports that again.
    pub(super) fn start_check(&mut self, recovery: i64) {
        if self.check.start(recovery) {
            self.send(&FromWorker::RunsChecked { recovery, is_complete: true });
        }
    }

    /// Handles the result of a check. Returns an event for the lifeline if the database does not have everything.
    pub(super) fn on_checked(&mut self, recovery: i64, is_complete: bool) -> Option<LifelineEvent> {
        self.send(&FromWorker::RunsChecked { recovery, is_complete });
        if is_complete {
            return None;
        }
        tracing::error!("the database has lost claims or ends of this worker");
        Some(LifelineEvent::WentBack)
    }
}
