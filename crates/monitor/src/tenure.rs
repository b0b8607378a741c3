//! A monitor's tenure: until when its lease is certain, what is done when it runs out, and which
//! leases of others are dead.

use std::time::Instant;

use rework_core::lease::{self, holder::Hold, observer::Watch};
use rework_wire::{
    lease::{Moment, Terms},
    worker::ToWorker,
};

use crate::{
    event::{Action, Finish, Look},
    state::State,
};

/// What is known of leases.
#[derive(Debug)]
pub(crate) struct Tenure {
    terms: Terms,
    hold: Hold,
    watch: Watch,
}

impl Tenure {
    /// By a lease that was made by a statement sent at this moment.
    pub(crate) fn new(terms: Terms, sent_at: Moment) -> Tenure {
        Tenure { terms, hold: Hold::new(terms, sent_at), watch: Watch::new(terms.look_every()) }
    }

    /// A little before the lease is not certain any more: time to kill what lives by it.
    pub(crate) fn ends_at(&self) -> Moment {
        self.hold.until().saturating_sub(self.terms.length / 20)
    }

    pub(crate) fn until(&self) -> Moment {
        self.hold.until()
    }
}

impl State {
    /// What a look says of leases. False: this one's was taken away.
    pub(crate) fn seen_leases(&mut self, look: &Look) -> bool {
        let (sent_at, now) = (look.sent_at, look.seen_at);
        let Some(answer) = &look.answer else {
            self.tenure.watch.step(lease::observer::Event::Lost, now);
            return true;
        };
        if look.standing {
            let leases = answer.leases.clone();
            let looked = lease::observer::Event::Looked { sent_at, leases };
            let dead = self.tenure.watch.step(looked, now);
            if !dead.is_empty() {
                self.actions.push(Action::TakeLeases(dead));
            }
            if answer.swept {
                self.actions.push(Action::Sweep);
            }
        }
        if answer.held && look.renewed {
            self.hold_on(lease::holder::Event::Renewed { sent_at }, now);
        }
        answer.held
    }

    /// The server is there for nobody: nobody can judge.
    pub(crate) fn away(&mut self, asked_at: Moment) {
        self.tenure.watch.step(lease::observer::Event::Lost, asked_at);
        self.hold_on(lease::holder::Event::Away { asked_at }, asked_at);
    }

    /// The database is there, again. What happened meanwhile is not known.
    pub(crate) fn back(&mut self) {
        self.tenure.watch.step(lease::observer::Event::Lost, Moment::ZERO);
        self.actions.push(Action::Look);
    }

    fn hold_on(&mut self, event: lease::holder::Event, now: Moment) {
        if self.is_over() {
            return;
        }
        for action in self.tenure.hold.step(event, now) {
            // What is too late is seen by the clock.
            if let lease::holder::Action::Arm(until) = action {
                self.actions.push(Action::Arm(Some(until)));
                self.tell_all(&ToWorker::Renewed { until });
            }
        }
    }

    /// Takes note of the time, as far as the lease goes.
    pub(crate) fn tenure_on_time(&mut self, moment: Moment, now: Instant) {
        if moment >= self.tenure.ends_at() && !self.is_over() {
            tracing::error!(
                "the database has been silent for {:.0} s: others will soon take the runs of this \
                 host, so its workers are killed",
                self.tenure.terms.self_kill().as_secs_f64()
            );
            self.actions.push(Action::Arm(None));
            self.lose(Finish::LeaseOver, now);
        }
    }

    /// Whether nothing of this monitor lives by its lease any more.
    pub(crate) fn is_over(&self) -> bool {
        self.drain.as_ref().is_some_and(crate::drain::Drain::is_over)
    }
}
