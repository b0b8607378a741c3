//! Noticing lost hosts: each monitor watches the leases of some others. A lease that has not moved for
//! its length means that its host is lost; [`Watch::step`] (`core/src/lease/observer.rs`) decides that. `sweep_lost_hosts.rs` then
//! takes the lease away and records what lived by it. Which leases are watched is decided by the SQL
//! function `tick`.

use rework_core::lease::observer::{Event, Watch};
use rework_wire::lease::{Moment, Terms};

use crate::{
    event::{Action, Poll},
    state::State,
};

/// What is known of the leases of other monitors.
#[derive(Debug)]
pub(crate) struct LostHosts {
    watch: Watch,
}

impl LostHosts {
    pub(super) fn new(terms: Terms) -> LostHosts {
        LostHosts { watch: Watch::new(terms.look_every()) }
    }
}

impl State {
    /// Decides from the leases that a regular poll has seen which hosts are lost.
    pub(super) fn find_lost_hosts(&mut self, poll: &Poll) {
        let Some(answer) = &poll.answer else { return self.forget_seen_leases() };
        if !poll.regular {
            return;
        }
        let (sent_at, leases) = (poll.sent_at, answer.leases.clone());
        let dead = self.lost_hosts.watch.step(Event::Looked { sent_at, leases }, poll.seen_at);
        if !dead.is_empty() {
            self.actions.push(Action::TakeDeadLeases(dead));
        }
        if answer.swept {
            self.actions.push(Action::SweepLostHosts);
        }
    }

    /// Begins to watch anew: what happened to the leases meanwhile is not known.
    pub(super) fn forget_seen_leases(&mut self) {
        self.lost_hosts.watch.step(Event::Lost, Moment::ZERO);
    }
}
