//! The requests to the database of the simulated world, its replies, and the safeguards that can be left out.

use rework_core::lease::row::{Lease, LeaseSnapshot};
use rework_wire::lease::LeaseTerms;

/// A safeguard of the product that the simulation leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingSafeguard {
    /// Without it, the end of a run is recorded even if the run is not current.
    Fence,
    /// Without it, a lease is taken away even if it was renewed since the observer read it.
    CompareAndSet,
    /// Without it, no process dies when its lease runs out.
    SelfKill,
    /// Without it, a worker creates a lease of its own even if its former lease was taken away.
    Guard,
    /// Without it, tasks are claimed after a failover before all holders have checked their runs.
    RecoveryCheck,
    /// Without it, a monitor lives on although the database has lost renewals of its lease.
    WentBack,
}

/// A request to the database. A `row` is the index of the row of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request {
    RegisterMonitor(LeaseTerms),
    /// A monitor polls, and renews its lease if `renew` is set and the database has stored the renewals that are known.
    /// `checked` is the recovery after which the monitor has checked the runs of its workers.
    Poll {
        lease: Lease,
        renew: bool,
        known_renewals: i64,
        checked: Option<u64>,
    },
    /// A monitor takes a dead lease away.
    TakeLease(LeaseSnapshot),
    /// A monitor records that one of its workers is dead.
    EndWorker {
        row: usize,
    },
    /// A monitor creates the row of a worker.
    CreateWorker {
        lease: Lease,
    },
    Claim {
        row: usize,
        lease: Lease,
    },
    /// A worker records the end of a run.
    Complete {
        row: usize,
        task: usize,
        run: u64,
    },
    /// A worker creates a lease of its own. `lease` is its former lease.
    CreateOwnLease {
        row: usize,
        lease: Lease,
    },
    RenewOwnLease {
        lease: Lease,
        known_renewals: i64,
        checked: Option<u64>,
    },
    /// A worker compares its run, a task and the number of the run, with the database, and the run whose end it has
    /// recorded last.
    CheckRuns {
        row: usize,
        run: Option<(usize, u64)>,
        last_end: Option<(usize, u64)>,
    },
}

/// A reply of the database.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// The server is down for everyone.
    ServerDown,
    /// The server has too many connections, so the request was not sent.
    NoConnection,
    Registered(Lease),
    Polled {
        /// The number of renewals. `None` if the lease does not exist any more.
        renewals: Option<i64>,
        /// The recovery that is in progress.
        recovery: Option<u64>,
        leases: Vec<(LeaseSnapshot, LeaseTerms)>,
    },
    Done,
    /// The row of the new worker.
    WorkerCreated(usize),
    /// The task and the number of the run.
    Claimed(Option<(usize, u64)>),
    OwnLease(Option<Lease>),
    /// A worker has renewed its own lease. The values have the meanings that they have in `Polled`.
    Renewed {
        renewals: Option<i64>,
        recovery: Option<u64>,
    },
    /// Whether the database has the run and the end of the worker.
    RunsChecked(bool),
}
