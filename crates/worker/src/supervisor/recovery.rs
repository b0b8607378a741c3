//! The replies of the lease client, and the checks of runs after a recovery of the server.

use rework_core::lease::{lifeline::LifelineEvent, row::OwnLeaseReply};
use rework_wire::worker::FromWorker;

use super::{Event, Supervisor, lease_reply::interpret_reply};
use crate::lease_client::{LeaseReply, LeaseResult};

impl Supervisor {
    /// Handles the reply of the lease client. Returns the event for the lifeline, and an abort if the reply contains
    /// one.
    pub(super) fn on_reply(&mut self, reply: Option<LeaseReply>) -> (LifelineEvent, Option<Event>) {
        match reply.as_ref().map(|reply| &reply.result) {
            Some(LeaseResult::Adopted) => self.send(&FromWorker::OwnLease),
            Some(LeaseResult::Renewed(OwnLeaseReply { recovery: Some(recovery), .. })) => {
                self.start_check(*recovery);
            }
            _ => {}
        }
        interpret_reply(reply)
    }

    /// Starts the check after a recovery of the server. If it was done already, reports that again.
    pub(super) fn start_check(&mut self, recovery: i64) {
        if self.check.start(recovery) {
            self.send(&FromWorker::RunsChecked { recovery, is_complete: true });
        }
    }

    /// Handles the result of a check. Returns an event for the lifeline if the database does not have everything.
    pub(super) fn on_recovery_checked(
        &mut self,
        recovery: i64,
        is_complete: bool,
    ) -> Option<LifelineEvent> {
        self.send(&FromWorker::RunsChecked { recovery, is_complete });
        if is_complete {
            return None;
        }
        tracing::error!("the database has lost claims or ends of this worker");
        Some(LifelineEvent::WentBack)
    }
}
