//! How processes of the simulated world start and die.

use rework_wire::lease::{BootTime, LeaseTerms};

use super::{FOREVER, World};
use crate::{
    event::Event,
    monitor::Monitor,
    process::{Effect, Process, Role},
    request::{MissingSafeguard, Reply, Request},
    worker::Worker,
};

impl World {
    /// Creates the row of a worker and sends it what it needs. In the product its monitor does that; here it takes no
    /// time.
    pub(super) fn finish_worker_start(&mut self, pid: usize, monitor_pid: usize) {
        let now = self.clock(pid);
        let Role::Monitor(monitor) = &self.processes[monitor_pid].role else { return };
        if !self.processes[monitor_pid].alive {
            return self.kill(pid);
        }
        let (terms, Some(lease)) = (monitor.terms, monitor.lease) else { return };
        let is_missing = self.missing == Some(MissingSafeguard::SelfKill);
        let until = if is_missing { FOREVER } else { monitor.until() };
        if until <= now {
            return;
        }
        let Reply::WorkerCreated(row) =
            self.database.execute(Request::CreateWorker { lease }, None)
        else {
            return;
        };
        self.processes[pid].role =
            Role::Worker(Worker::new(row, lease, terms, until, now), monitor_pid);
        self.apply(pid, vec![Effect::ArmKillTimer(until)]);
    }

    /// Kills a process after a random delay, because a kill takes time. The product allows for a tenth of a lease.
    pub(super) fn kill_soon(&mut self, pid: usize) {
        let length_ms = lease_length(self.processes[pid].machine).as_millis() as u64;
        // 19/200 is just below a tenth.
        let delay = self.random.u64(0..length_ms * 19 / 200);
        self.schedule(delay, Event::Kill(pid));
    }

    pub(super) fn kill(&mut self, pid: usize) {
        if !std::mem::take(&mut self.processes[pid].alive) {
            return;
        }
        match &self.processes[pid].role {
            Role::Monitor(_) => {
                let (wait, machine) = (self.random.u64(500..5_000), self.processes[pid].machine);
                self.schedule(wait, Event::StartMonitor(machine));
            }
            Role::Worker(worker, monitor_pid) => {
                let (row, monitor_pid) = (worker.row, *monitor_pid);
                if let Role::Monitor(monitor) = &mut self.processes[monitor_pid].role {
                    monitor.dead_workers.push(row);
                    monitor.waits_for.remove(&pid);
                }
                if self.processes[monitor_pid].alive {
                    self.start_worker(monitor_pid);
                }
            }
            Role::StartingWorker(_) => {}
        }
    }

    pub(super) fn start_monitor(&mut self, machine: usize) {
        let terms = LeaseTerms { length: lease_length(machine) };
        self.start(machine, Role::Monitor(Monitor::new(terms, self.missing)));
    }

    pub(super) fn start_worker(&mut self, monitor_pid: usize) {
        self.start(self.processes[monitor_pid].machine, Role::StartingWorker(monitor_pid));
    }

    pub(super) fn start(&mut self, machine: usize, role: Role) {
        let armed = BootTime::ZERO;
        self.processes.push(Process {
            machine,
            alive: true,
            stopped_until: 0,
            armed,
            went_back_at: None,
            role,
        });
        self.schedule(1, Event::Wake(self.processes.len() - 1));
    }
}

/// The length of the leases of a machine. The third machine has shorter ones, so that leases of different lengths meet.
fn lease_length(machine: usize) -> BootTime {
    BootTime::from_secs([20, 20, 8][machine % 3])
}
