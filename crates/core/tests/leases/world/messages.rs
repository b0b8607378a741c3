//! Requests to the database of the simulated world, and its replies. Each message may be late or get lost.

use rework_core::lease::row::Lease;

use super::{Scenario, WORKERS_PER_MONITOR, World};
use crate::{
    event::Event,
    machine::Time,
    process::{Process, Role},
    request::{Reply, Request},
};

impl World {
    pub(super) fn send(&mut self, from: usize, request: Request) {
        self.last_id += 1;
        let (id, now) = (self.last_id, self.clock(from));
        // A monitor and the requests about tasks have connections. A worker needs a new one for its lease.
        let needs_connection =
            matches!(request, Request::CreateOwnLease { .. } | Request::RenewOwnLease { .. });
        match &mut self.processes[from].role {
            Role::Monitor(monitor) => monitor.pending.sent(id, now),
            Role::Worker(worker, _) => match request {
                Request::CreateOwnLease { .. } | Request::RenewOwnLease { .. } => {
                    worker.lease_request.sent(id, now);
                }
                Request::CheckRuns { .. } => worker.check_request.sent(id, now),
                _ => worker.task_request.sent(id, now),
            },
            Role::StartingWorker(_) => return,
        }
        let Some(delay) = self.message_delay(self.processes[from].machine) else { return };
        let event = if needs_connection && self.full_until > self.now {
            Event::ReplyArrived { to: from, id, request, reply: Reply::NoConnection }
        } else {
            Event::RequestArrived { from, id, request, sent: self.now }
        };
        self.schedule(delay, event);
    }

    /// Executes a request, checks the promises, and sends the reply.
    pub(super) fn on_request(&mut self, from: usize, id: u64, request: Request, sent: Time) {
        let (down_from, down_until) = self.outage;
        let is_down = self.now < down_until;
        // A request that had not arrived when the outage started is lost with its connection.
        if sent < down_from && self.now >= down_from {
            return;
        }
        let reply =
            if is_down { Reply::ServerDown } else { self.database.execute(request, self.missing) };
        if matches!(request, Request::RegisterMonitor(_)) {
            // A failover does not lose a registration.
            self.history.clear();
        }
        if let (Request::CreateOwnLease { row, .. }, Reply::OwnLease(Some(_))) = (request, &reply)
            && self.database.has_ended(row)
            && self.processes[from].alive
        {
            let violation = format!("worker {from}, whose runs were taken away, lives on");
            self.database.violation = Some(violation);
        }
        for (lease, renewed) in std::mem::take(&mut self.database.taken) {
            if renewed || self.scenario != Scenario::Freezes {
                self.check_taken(lease);
            }
        }
        if let Some(delay) = self.message_delay(self.processes[from].machine) {
            self.schedule(delay, Event::ReplyArrived { to: from, id, request, reply });
        }
    }

    pub(super) fn on_reply(&mut self, to: usize, id: u64, request: Request, reply: Reply) {
        let now = self.clock(to);
        let effects = match &mut self.processes[to].role {
            Role::Monitor(monitor) => {
                let is_registered = matches!(reply, Reply::Registered(_));
                let effects = monitor.on_reply(id, request, reply, now);
                if is_registered {
                    for _ in 0..WORKERS_PER_MONITOR {
                        self.start_worker(to);
                    }
                }
                effects
            }
            Role::Worker(worker, _) => worker.on_reply(id, request, reply, now),
            Role::StartingWorker(_) => Vec::new(),
        };
        if matches!(&self.processes[to].role, Role::Monitor(monitor) if monitor.went_back) {
            let process = &mut self.processes[to];
            process.went_back_at = process.went_back_at.or(Some(self.now));
        }
        self.apply(to, effects);
    }

    /// Checks that no live process depends on a lease that was taken away.
    pub(super) fn check_taken(&mut self, lease: Lease) {
        let lives_by_it = |process: &&Process| {
            process.alive
                && match &process.role {
                    Role::Monitor(monitor) => monitor.lease == Some(lease),
                    Role::Worker(worker, _) => worker.lease == lease,
                    Role::StartingWorker(_) => false,
                }
        };
        if let Some(process) = self.processes.iter().find(lives_by_it) {
            self.database.violation =
                Some(format!("lease {} is taken and {:?} lives by it", lease.id, process.role));
        }
    }

    pub(super) fn message_delay(&mut self, machine: usize) -> Option<Time> {
        self.machines[machine].message_delay(self.now, &mut self.random)
    }
}
