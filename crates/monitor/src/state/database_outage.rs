//! The effect of a database outage on leases and connections. While no client can change the
//! database, no observer (a monitor that watches the leases of others) can take a lease away. So
//! the own lease lasts longer, and no other lease is dead. A worker during an outage:
//! `worker/src/database_connection.rs`.

use std::time::{Duration, Instant};

use rework_core::lease::holder::HolderEvent;
use rework_wire::{lease::BootTime, worker::ToWorker};

use crate::{event::Action, state::State};

/// The time between two requests to idle workers to close their connections. Each worker that cannot connect reports
/// that once a second.
const RELEASE_INTERVAL: Duration = Duration::from_secs(1);

impl State {
    /// Handles an attempt to connect, started at `attempted_at`, which has shown that no client can change the
    /// database.
    pub(super) fn database_down(&mut self, attempted_at: BootTime, now: Instant) {
        self.restart_observation();
        self.own_lease_event(HolderEvent::ServerDown { attempted_at }, attempted_at, now);
    }

    /// Handles a connection of this host that the server has refused because it has too many. An idle worker keeps its
    /// connection for a minute. So the idle workers are requested to close theirs.
    pub(super) fn connection_refused(&mut self, now: Instant) {
        let released_at = self.connections_released_at;
        if released_at.is_some_and(|at| now.duration_since(at) < RELEASE_INTERVAL) {
            return;
        }
        self.connections_released_at = Some(now);
        let idle = self.workers.iter().filter(|(_, worker)| worker.is_idle());
        let sends = idle.map(|(id, _)| Action::Send(*id, ToWorker::CloseConnection));
        self.actions.extend(sends);
    }

    /// Handles a new connection. Leases may have been renewed while this monitor could not read them.
    pub(super) fn database_back(&mut self) {
        self.restart_observation();
        self.actions.push(Action::PollNow);
    }
}
