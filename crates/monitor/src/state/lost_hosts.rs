//! Finding lost hosts. Each monitor observes the leases of up to sixteen other monitors, which the SQL function
//! `rework.monitor_poll` chooses (`migrations/V17__monitor_poll.sql`). If a lease is not renewed for 1.1 of its lengths
//! (22 seconds with a lease of 20 seconds), its host is lost; [`LeaseObserver::step`] (`core/src/lease/observer.rs`)
//! decides that.
//!
//! `sweep_lost_hosts.rs` takes dead leases away and records that the runs are lost. Their tasks are queued again if
//! the operation allows it (`retry_lost`) and the task was not lost three times before; otherwise they are `lost`
//! (`migrations/V15__complete.sql`).

use rework_core::lease::observer::{LeaseObserver, ObserverEvent};
use rework_wire::lease::{BootTime, LeaseTerms};

use crate::{
    event::{Action, CompletedPoll},
    state::State,
};

/// The observations of other monitors' leases.
#[derive(Debug)]
pub(crate) struct LostHosts {
    observer: LeaseObserver,
}

impl LostHosts {
    pub(super) fn new(terms: LeaseTerms) -> LostHosts {
        LostHosts { observer: LeaseObserver::new(terms.poll_interval()) }
    }
}

impl State {
    /// Finds lost hosts from the leases in the reply to a regular poll.
    pub(super) fn find_lost_hosts(&mut self, poll: &CompletedPoll) {
        let Some(reply) = &poll.reply else { return self.restart_observation() };
        if !poll.regular {
            return;
        }
        let polled = ObserverEvent::Polled { sent_at: poll.sent_at, leases: reply.leases.clone() };
        let dead = self.lost_hosts.observer.step(polled, poll.received_at);
        if !dead.is_empty() {
            self.actions.push(Action::TakeDeadLeases(dead));
        }
        if reply.sweep_is_due {
            self.actions.push(Action::SweepLostHosts);
        }
    }

    /// Starts all observations again, because leases may have been renewed unnoticed.
    pub(super) fn restart_observation(&mut self) {
        self.lost_hosts.observer.step(ObserverEvent::PollFailed, BootTime::ZERO);
    }
}
