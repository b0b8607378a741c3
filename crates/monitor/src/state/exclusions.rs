//! The operations of which the workers claim nothing: those that are blocked, because this host cannot start them now
//! (`start_faults.rs`) or because they are not available (`availability.rs`), and those that users have paused
//! (`pauses.rs`). One message has all of them.

use rework_wire::worker::ToWorker;

use crate::{
    event::Action,
    state::{State, worker::Worker},
};

impl State {
    /// Sends the excluded operations to every worker that this monitor started.
    pub(super) fn send_exclusions(&mut self) {
        let receivers = self.workers.iter().filter(|(_, worker)| !worker.is_orphan());
        let send = |(id, worker): (&i64, &Worker)| {
            let message = self.exclusions(*id, &worker.domain);
            Action::Send(*id, message)
        };
        let sends: Vec<Action> = receivers.map(send).collect();
        self.actions.extend(sends);
    }

    /// Sends the excluded operations to a new worker, if there are any.
    pub(super) fn send_exclusions_to(&mut self, worker: i64) {
        let nothing_is_blocked = self.start_faults.is_empty() && self.unavailable.is_empty();
        if nothing_is_blocked && !self.pauses.has_changed() {
            return;
        }
        let Some(domain) = self.workers.get(&worker).map(|worker| &worker.domain) else { return };
        let message = self.exclusions(worker, domain);
        self.actions.push(Action::Send(worker, message));
    }

    fn exclusions(&self, worker: i64, domain: &str) -> ToWorker {
        let (mut blocked, on_trial) = self.start_faults.operations(worker);
        blocked.extend(self.unavailable.ids());
        let (paused, number) = (self.pauses.of(domain), self.pauses.number());
        ToWorker::ExcludeOperations { blocked, on_trial, paused, number }
    }
}
