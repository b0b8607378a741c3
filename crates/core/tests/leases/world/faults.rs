//! Faults that are injected into the simulated world, and the earlier states of the database to which a failover goes
//! back.

use super::{MACHINES, Scenario, World};
use crate::{event::Event, machine::Time};

/// The time between two states to which a failover may go back, in milliseconds.
const HISTORY_INTERVAL: Time = 250;

/// The number of such states. So a failover loses the transactions of up to three seconds.
const HISTORY_LENGTH: usize = 12;

impl World {
    pub(super) fn inject_fault(&mut self) {
        let next = self.random.u64(100..15_000);
        self.schedule(next, Event::InjectFault);
        let machine = self.random.usize(..MACHINES);
        let alive: Vec<usize> =
            (0..self.processes.len()).filter(|pid| self.processes[*pid].alive).collect();
        let pid = alive[self.random.usize(..alive.len())];
        let duration = self.random.u64(100..60_000);
        match self.random.u8(..20) {
            0..6 => self.machines[machine].cut(self.now + duration),
            6..9 if self.scenario == Scenario::Failovers => self.fail_over(duration / 2),
            6 => self.outage = (self.now, self.now + duration / 2),
            7..12
                if self.scenario == Scenario::Freezes
                    && !self.machines[machine].is_frozen(self.now) =>
            {
                let duration = self.random.u64(5_000..40_000);
                self.machines[machine].freeze(self.now, duration);
            }
            13 => self.full_until = self.now + duration,
            7..15 => self.processes[pid].stopped_until = self.now + duration,
            _ => self.kill(pid),
        }
    }

    /// Remembers the state of the database from time to time.
    pub(super) fn record_history(&mut self) {
        let is_due =
            self.history.back().is_none_or(|(time, _)| self.now >= time + HISTORY_INTERVAL);
        if self.scenario == Scenario::Failovers && is_due {
            self.history.push_back((self.now, self.database.clone()));
            if self.history.len() > HISTORY_LENGTH {
                self.history.pop_front();
            }
        }
    }

    /// Stops the server for some time, and then continues with a state of the last seconds. Replies that have not
    /// arrived are lost with their connections. A process that stands still has perhaps received one.
    fn fail_over(&mut self, duration: Time) {
        self.outage = (self.now, self.now + duration);
        let (processes, now) = (&self.processes, self.now);
        self.events.retain(|_, event| match event {
            Event::ReplyArrived { to, .. } => processes[*to].stopped_until > now,
            _ => true,
        });
        if self.history.is_empty() {
            return;
        }
        let index = self.random.usize(..self.history.len());
        if let Some((_, earlier)) = self.history.swap_remove_back(index) {
            self.database.go_back(earlier);
        }
        self.history.clear();
    }
}
