//! The lease of this monitor: until when it is certain, and the end of the monitor when the lease runs
//! out or is taken away.

use std::time::Instant;

use rework_core::lease::holder::{self, Hold};
use rework_wire::{
    lease::{Moment, Terms},
    worker::ToWorker,
};

use crate::{
    event::{Action, Finish, Poll},
    state::State,
};

/// What is known of the lease of this monitor.
#[derive(Debug)]
pub(crate) struct OwnLease {
    terms: Terms,
    hold: Hold,
}

impl OwnLease {
    /// A lease that was made by a statement sent at this moment.
    pub(crate) fn new(terms: Terms, sent_at: Moment) -> OwnLease {
        OwnLease { terms, hold: Hold::new(terms, sent_at) }
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms
    }

    /// Until when the lease is certain.
    pub(crate) fn until(&self) -> Moment {
        self.hold.until()
    }

    /// When everything that lives by the lease is killed: a twentieth of its length before it is no
    /// longer certain.
    pub(crate) fn ends_at(&self) -> Moment {
        self.hold.until().saturating_sub(self.terms.length / 20)
    }
}

impl State {
    /// Takes note of a poll that renewed the lease.
    pub(super) fn note_renewal(&mut self, poll: &Poll) {
        if poll.renewed && poll.answer.as_ref().is_some_and(|answer| answer.held) {
            let renewed = holder::Event::Renewed { sent_at: poll.sent_at };
            self.own_lease_event(renewed, poll.seen_at);
        }
    }

    pub(super) fn own_lease_event(&mut self, event: holder::Event, now: Moment) {
        if self.is_over() {
            return;
        }
        for action in self.own_lease.hold.step(event, now) {
            // A renewal that comes too late arms nothing, and `own_lease_on_time` ends the monitor.
            if let holder::Action::Arm(until) = action {
                self.actions.push(Action::Arm(Some(until)));
                self.tell_all(&ToWorker::Renewed { until });
            }
        }
    }

    /// Ends the monitor if its lease has run out.
    pub(crate) fn own_lease_on_time(&mut self, moment: Moment, now: Instant) {
        if moment >= self.own_lease.ends_at() && !self.is_over() {
            tracing::error!(
                "the database has been silent for {:.0} s: others will soon take the runs of this \
                 host, so its workers are killed",
                self.own_lease.terms.self_kill().as_secs_f64()
            );
            self.actions.push(Action::Arm(None));
            self.lose(Finish::LeaseOver, now);
        }
    }

    /// Ends the monitor since its lease was taken away: other hosts have its runs.
    pub(super) fn lease_lost(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        tracing::error!("the lease was taken away: all workers are killed");
        self.actions.push(Action::Arm(None));
        self.lose(Finish::LeaseLost, now);
    }
}
