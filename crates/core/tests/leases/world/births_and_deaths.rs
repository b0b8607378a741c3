//! How processes of the simulated world start and die.

use rework_wire::lease::{Moment, Terms};

use super::{FOREVER, World};
use crate::{
    cast::{Event, Process, What},
    database::{Answer, Ask, Flaw},
    process::{Monitor, Wish, Worker},
};

impl World {
    /// A worker's row is made by its monitor; here, as if that took no time.
    pub(super) fn bear(&mut self, whom: usize, monitor: usize) {
        let now = self.clock(whom);
        let What::Monitor(mother) = &self.processes[monitor].what else { return };
        if !self.processes[monitor].alive {
            return self.kill(whom);
        }
        let (terms, Some(lease)) = (mother.terms, mother.lease) else { return };
        let until = if self.flaw == Some(Flaw::SelfKill) { FOREVER } else { mother.until() };
        if until <= now {
            return;
        }
        let Answer::Created(row) = self.database.answer(Ask::Create { lease }, None) else {
            return;
        };
        self.processes[whom].what =
            What::Worker(Worker::new(row, lease, terms, until, now), monitor);
        self.grant(whom, vec![Wish::Arm(until)]);
    }

    pub(super) fn kill_soon(&mut self, whom: usize) {
        // Up to a tenth of a lease.
        let length = length_at(self.processes[whom].machine).as_millis() as u64;
        let delay = self.random.u64(0..length * 19 / 200);
        self.later(delay, Event::Kill(whom));
    }

    pub(super) fn kill(&mut self, whom: usize) {
        if !std::mem::take(&mut self.processes[whom].alive) {
            return;
        }
        match &self.processes[whom].what {
            What::Monitor(_) => {
                let (wait, machine) = (self.random.u64(500..5_000), self.processes[whom].machine);
                self.later(wait, Event::Replace(machine));
            }
            What::Worker(worker, monitor) => {
                let (row, monitor) = (worker.row, *monitor);
                if let What::Monitor(mother) = &mut self.processes[monitor].what {
                    mother.dead.push(row);
                }
                if self.processes[monitor].alive {
                    self.start_worker(monitor);
                }
            }
            What::Unborn(_) => {}
        }
    }

    pub(super) fn start_monitor(&mut self, machine: usize) {
        let lives_forever = self.flaw == Some(Flaw::SelfKill);
        let mut monitor = Monitor::new(Terms { length: length_at(machine) });
        monitor.lives_forever = lives_forever;
        self.start(machine, What::Monitor(monitor));
    }

    pub(super) fn start_worker(&mut self, monitor: usize) {
        self.start(self.processes[monitor].machine, What::Unborn(monitor));
    }

    pub(super) fn start(&mut self, machine: usize, what: What) {
        let process = Process { machine, alive: true, stopped_until: 0, armed: Moment::ZERO, what };
        self.processes.push(process);
        self.later(1, Event::Wake(self.processes.len() - 1));
    }
}

/// Some hosts have shorter leases than others.
fn length_at(machine: usize) -> Moment {
    Moment::from_secs([20, 20, 8][machine % 3])
}
