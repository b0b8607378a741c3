//! The replies of the lease client, as events of the lifeline.

use rework_core::lease::{
    lifeline::LifelineEvent,
    row::{AbortRequest, OwnLeaseReply},
};
use rework_wire::worker::AbortCause;
use tokio::sync::oneshot;

use super::Event;
use crate::{
    abort::Abort,
    lease_client::{LeaseReply, LeaseResult},
};

/// Waits for the answer to the pending request and clears it. `None` if the lease client has ended. Waits forever if no
/// request is pending.
pub(super) async fn next_reply(
    pending: &mut Option<oneshot::Receiver<LeaseReply>>,
) -> Option<LeaseReply> {
    let Some(receiver) = pending else { return std::future::pending().await };
    let reply = receiver.await.ok();
    *pending = None;
    reply
}

/// Translates the answer of the lease client into an event of the lifeline, and an abort; `None` if
/// the answer contains no abort.
pub(super) fn interpret_reply(reply: Option<LeaseReply>) -> (LifelineEvent, Option<Event>) {
    let Some(LeaseReply { sent_at, result }) = reply else {
        return (LifelineEvent::RequestFailed, None);
    };
    match result {
        LeaseResult::Adopted => (LifelineEvent::OwnLeaseCreated { sent_at }, None),
        LeaseResult::Renewed(OwnLeaseReply { renewals, abort, .. }) => {
            let abort = abort.map(|AbortRequest { fence, reason }| {
                let (task, run) = (fence.task, fence.run);
                Event::Abort(Abort { task, run, cause: AbortCause::Requested, reason })
            });
            (LifelineEvent::OwnLeaseRenewed { sent_at, renewals }, abort)
        }
        LeaseResult::Taken => (LifelineEvent::Taken, None),
        LeaseResult::Unavailable => (LifelineEvent::ServerDown { attempted_at: sent_at }, None),
        LeaseResult::NotSent => (LifelineEvent::RequestNotSent, None),
        LeaseResult::Failed => (LifelineEvent::RequestFailed, None),
    }
}
