//! A process of the simulated world: the part that monitors and workers have in common.

use rework_wire::lease::BootTime;

use crate::{machine::Time, monitor::Monitor, request::Request, worker::Worker};

/// How long a process waits for a reply before it gives a request up.
const REPLY_TIMEOUT: BootTime = BootTime::from_secs(10);

#[derive(Debug)]
pub(crate) struct Process {
    /// The index of its machine.
    pub(crate) machine: usize,
    pub(crate) alive: bool,
    /// The moment until which the process is stopped, as by SIGSTOP.
    pub(crate) stopped_until: Time,
    /// The moment to which its kill timer is set.
    pub(crate) armed: BootTime,
    /// When the process learned that the database has lost renewals of its lease.
    pub(crate) went_back_at: Option<Time>,
    pub(crate) role: Role,
}

#[derive(Debug)]
pub(crate) enum Role {
    Monitor(Monitor),
    /// A worker, with the pid of its monitor.
    Worker(Worker, usize),
    /// A worker that has no row yet, with the pid of its monitor.
    StartingWorker(usize),
}

/// An effect that a process has on the world.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Send a request to the database.
    Send(Request),
    /// Set the kill timer of the process.
    ArmKillTimer(BootTime),
    /// Kill the process.
    Die,
    /// Kill the monitor and its workers.
    DieWithWorkers,
    /// Have the workers of this monitor compare their runs with the database after this recovery.
    CheckWorkers(u64),
    /// Report to the monitor that the database has the run after this recovery.
    ReportChecked(u64),
    /// Send to the workers of this monitor until when the lease is certain.
    NotifyWorkers(BootTime),
    /// Start a run of a task, which takes a random time.
    StartRun { task: usize, run: u64 },
}

/// The request that a process has sent on one connection and that has no reply yet, with its id and when it was sent.
#[derive(Debug, Default)]
pub(crate) struct PendingRequest(Option<(u64, BootTime)>);

impl PendingRequest {
    pub(crate) fn sent(&mut self, id: u64, now: BootTime) {
        self.0 = Some((id, now));
    }

    /// Handles a reply. Returns when the request was sent. `None` if the reply is not for the pending request.
    pub(crate) fn answered(&mut self, id: u64) -> Option<BootTime> {
        let (_, sent_at) = self.0.filter(|(pending, _)| *pending == id)?;
        self.0 = None;
        Some(sent_at)
    }

    /// Gives the request up if it has waited for too long. Returns whether it did so.
    pub(crate) fn time_out(&mut self, now: BootTime) -> bool {
        let late = self.0.is_some_and(|(_, sent_at)| now >= sent_at + REPLY_TIMEOUT);
        if late {
            self.0 = None;
        }
        late
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }
}
