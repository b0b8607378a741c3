//! The effect of a database outage on leases. While the server is down for everyone, no observer (a
//! monitor that watches the leases of others) can judge a lease. So the own lease lasts longer, and
//! no other lease is dead. A worker during an outage: `worker/src/database_connection.rs`.

use rework_core::lease::holder::HolderEvent;
use rework_wire::lease::BootTime;

use crate::{event::Action, state::State};

impl State {
    /// Handles an attempt to connect, started at `attempted_at`, which has shown that the server is down for everyone.
    pub(super) fn database_down(&mut self, attempted_at: BootTime) {
        self.restart_observation();
        self.own_lease_event(HolderEvent::ServerDown { attempted_at }, attempted_at);
    }

    /// Handles a new connection. Leases may have been renewed while this monitor could not read them.
    pub(super) fn database_back(&mut self) {
        self.restart_observation();
        self.actions.push(Action::PollNow);
    }
}
