//! The operations of which the worker claims nothing, as the monitor lists them, and the confirmation of pauses.

use rework_wire::worker::{FromWorker, Paused};

use super::{Event, Supervisor};

impl Supervisor {
    /// Replaces the operations of which nothing is claimed. `number` is the number of the last change of the pauses.
    /// Returns the event of that change; `None` if it is known already.
    pub(super) fn exclude(
        &mut self,
        blocked: Vec<i64>,
        paused: Paused,
        number: u64,
    ) -> Option<Event> {
        self.recorder.exclude(blocked, paused);
        let is_change = std::mem::replace(&mut self.pauses_number, number) != number;
        is_change.then_some(Event::PausesChanged)
    }

    /// Tells the monitor that the last change of the pauses is carried out, if it has not been told. The caller has no
    /// run of a paused operation that could still start.
    pub(crate) fn confirm_pauses(&mut self) {
        let number = self.pauses_number;
        if std::mem::replace(&mut self.confirmed_number, number) != number {
            self.send(&FromWorker::PausesConfirmed { number });
        }
    }
}
