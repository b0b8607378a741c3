//! The lease of this monitor: how long it is certain, and how the monitor ends when the lease expires or is taken away.

use std::time::Instant;

use rework_core::lease::holder::{HolderAction, HolderEvent, LeaseEnd, LeaseHolder};
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

    /// Returns the number of renewals that the database is known to have stored.
    pub(crate) fn renewals(&self) -> i64 {
        self.holder.renewals()
    }

    /// Returns the time at which all workers under the lease are killed: a twentieth of the lease's length before the
    /// lease is no longer certain. After that the kernel's timer kills this process.
    pub(crate) fn ends_at(&self) -> BootTime {
        self.holder.until().saturating_sub(self.terms.length / 20)
    }
}

impl State {
    /// Extends the lease if a poll has renewed it. Ends the monitor if the reply shows that the database has gone back
    /// to an earlier state.
    pub(super) fn record_lease(&mut self, poll: &CompletedPoll, now: Instant) {
        let Some(renewals) = poll.reply.as_ref().and_then(|reply| reply.renewals) else { return };
        let event = if poll.renewed {
            HolderEvent::Renewed { sent_at: poll.sent_at, renewals }
        } else {
            HolderEvent::Observed { renewals }
        };
        self.own_lease_event(event, poll.received_at, now);
    }

    pub(super) fn own_lease_event(
        &mut self,
        event: HolderEvent,
        boot_time: BootTime,
        now: Instant,
    ) {
        if self.lease_ended() {
            return;
        }
        for action in self.own_lease.holder.step(event, boot_time) {
            match action {
                HolderAction::ArmKillTimer(until) => {
                    self.actions.push(Action::ArmSelfKill(Some(until)));
                    self.send_to_all(&ToWorker::Renewed { until });
                }
                HolderAction::Die(LeaseEnd::WentBack) => self.went_back(now),
                // A renewal came too late. `own_lease_on_time` ends the monitor.
                HolderAction::Die(LeaseEnd::Expired | LeaseEnd::Taken) => {}
            }
        }
    }

    /// Ends the monitor if its lease has expired.
    pub(crate) fn own_lease_on_time(&mut self, boot_time: BootTime, now: Instant) {
        if boot_time >= self.own_lease.ends_at() && !self.lease_ended() {
            let refusal = self.refusal.as_deref();
            let why = refusal.map(|text| format!(" (the database says: {text})"));
            tracing::error!(
                "the lease could not be renewed for {:.0} s{}, so other hosts will soon take the runs of this host: \
                 killing all workers",
                self.own_lease.terms.self_kill_after().as_secs_f64(),
                why.unwrap_or_default()
            );
            self.actions.push(Action::ArmSelfKill(None));
            self.end_without_lease(Finish::LeaseExpired, now);
        }
    }

    /// Ends the monitor because the database has lost renewals of its lease, and perhaps claims of its workers.
    fn went_back(&mut self, now: Instant) {
        tracing::error!(
            "the database has lost its last transactions, perhaps by a failover: killing all workers, because others \
             may claim their tasks again"
        );
        self.actions.push(Action::ArmSelfKill(None));
        self.end_without_lease(Finish::WentBack, now);
    }

    /// Ends the monitor because its lease was taken away. Other hosts have its runs.
    pub(super) fn lease_lost(&mut self, now: Instant) {
        if self.lease_ended() {
            return;
        }
        tracing::error!("the lease does not exist any more: killing all workers");
        self.actions.push(Action::ArmSelfKill(None));
        self.end_without_lease(Finish::LeaseLost, now);
    }
}
