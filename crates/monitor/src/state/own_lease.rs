//! The lease of this monitor: how long it is certain, and how the monitor ends when the lease expires or is taken away.

use std::time::Instant;

use rework_core::lease::holder::{HolderAction, HolderEvent, LeaseHolder};
use rework_wire::{
    lease::{BootTime, LeaseTerms},
    worker::ToWorker,
};

use crate::{
    event::{Action, CompletedPoll, Finish},
    state::State,
};

/// The lease of this monitor.
#[derive(Debug)]
pub(crate) struct OwnLease {
    terms: LeaseTerms,
    holder: LeaseHolder,
}

impl OwnLease {
    /// Creates the state of a lease that was created by a statement sent at `sent_at`.
    pub(crate) fn new(terms: LeaseTerms, sent_at: BootTime) -> OwnLease {
        OwnLease { terms, holder: LeaseHolder::new(terms, sent_at) }
    }

    pub(super) fn terms(&self) -> LeaseTerms {
        self.terms
    }

    /// Returns the time until which the lease is certain.
    pub(crate) fn until(&self) -> BootTime {
        self.holder.until()
    }

    /// Returns the time at which all workers under the lease are killed: a twentieth of the lease's length before the
    /// lease is no longer certain. After that the kernel's timer kills this process.
    pub(crate) fn ends_at(&self) -> BootTime {
        self.holder.until().saturating_sub(self.terms.length / 20)
    }
}

impl State {
    /// Extends the lease if a poll has renewed it.
    pub(super) fn record_renewal(&mut self, poll: &CompletedPoll) {
        if poll.renewed && poll.reply.as_ref().is_some_and(|reply| reply.lease_is_current) {
            let renewed = HolderEvent::Renewed { sent_at: poll.sent_at };
            self.own_lease_event(renewed, poll.received_at);
        }
    }

    pub(super) fn own_lease_event(&mut self, event: HolderEvent, now: BootTime) {
        if self.lease_ended() {
            return;
        }
        for action in self.own_lease.holder.step(event, now) {
            // A renewal that comes too late arms no timer. `own_lease_on_time` then ends the monitor.
            if let HolderAction::ArmKillTimer(until) = action {
                self.actions.push(Action::ArmSelfKill(Some(until)));
                self.send_to_all(&ToWorker::Renewed { until });
            }
        }
    }

    /// Ends the monitor if its lease has expired.
    pub(crate) fn own_lease_on_time(&mut self, boot_time: BootTime, now: Instant) {
        if boot_time >= self.own_lease.ends_at() && !self.lease_ended() {
            tracing::error!(
                "the database was silent for {:.0} s, so other hosts will soon take the runs of this host: \
                 killing all workers",
                self.own_lease.terms.self_kill_after().as_secs_f64()
            );
            self.actions.push(Action::ArmSelfKill(None));
            self.end_without_lease(Finish::LeaseExpired, now);
        }
    }

    /// Ends the monitor because its lease was taken away. Other hosts have its runs.
    pub(super) fn lease_lost(&mut self, now: Instant) {
        if self.lease_ended() {
            return;
        }
        tracing::error!("the lease was taken away: killing all workers");
        self.actions.push(Action::ArmSelfKill(None));
        self.end_without_lease(Finish::LeaseLost, now);
    }
}
