//! The database is away, or back: what that means for leases. While the server is down for everyone,
//! nobody can judge a lease, so the own one lasts longer and no other one is dead.

use rework_core::lease::holder;
use rework_wire::lease::Moment;

use crate::{event::Action, state::State};

impl State {
    /// An attempt to connect, made at `asked_at`, has shown that the server is down for everyone.
    pub(super) fn away(&mut self, asked_at: Moment) {
        self.forget_seen_leases();
        self.own_lease_event(holder::Event::Away { asked_at }, asked_at);
    }

    /// The database is there, perhaps after a while in which others saw it.
    pub(super) fn back(&mut self) {
        self.forget_seen_leases();
        self.actions.push(Action::Poll);
    }
}
