//! The events of the simulated world.

use rework_wire::lease::BootTime;

use crate::{
    machine::Time,
    request::{Reply, Request},
};

/// An event. A `pid` is the index of a process in the world.
#[derive(Debug)]
pub(crate) enum Event {
    /// The timer of a process expires, and the process acts.
    Wake(usize),
    /// A request reaches the database.
    RequestArrived { from: usize, id: u64, request: Request, sent: Time },
    /// A reply reaches the process that sent the request.
    ReplyArrived { to: usize, id: u64, request: Request, reply: Reply },
    /// A worker receives from its monitor until when the lease is certain.
    MonitorRenewed { to: usize, until: BootTime },
    /// A worker receives from its monitor that it has to compare its run with the database after this recovery.
    CheckRuns { to: usize, recovery: u64 },
    /// A monitor receives that a worker has its run in the database after this recovery.
    RunsChecked { to: usize, worker: usize, recovery: u64 },
    /// The kernel's timer that kills a process expires, if it is still set to `armed`.
    KillTimer { pid: usize, armed: BootTime },
    /// A process dies.
    Kill(usize),
    /// A monitor starts on a machine.
    StartMonitor(usize),
    /// Something goes wrong: a process is killed or stopped, a network or the server fails, or a machine freezes.
    InjectFault,
}
