//! The database of the simulated world. It does what the SQL statements of the product do to leases, workers and tasks.

use rework_core::lease::row::{Lease, LeaseSnapshot};
use rework_wire::lease::LeaseTerms;

/// The number of monitors that each monitor observes. It is smaller than the number of monitors, so that none observes
/// all others.
const OBSERVED_MONITORS: usize = 2;

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
}

/// A request to the database. A `row` is the index of the row of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request {
    RegisterMonitor(LeaseTerms),
    /// A monitor polls, and renews its lease if `renew` is set.
    Poll {
        lease: Lease,
        renew: bool,
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
    },
}

/// A reply of the database.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// The server is down for everyone.
    ServerDown,
    Registered(Lease),
    Polled {
        lease_is_current: bool,
        leases: Vec<(LeaseSnapshot, LeaseTerms)>,
    },
    Done,
    /// The row of the new worker.
    WorkerCreated(usize),
    /// The task and the number of the run.
    Claimed(Option<(usize, u64)>),
    OwnLease(Option<Lease>),
    /// Whether the lease still exists.
    Renewed(bool),
}

#[derive(Debug, Default)]
pub(crate) struct Database {
    leases: Vec<LeaseRow>,
    workers: Vec<WorkerRow>,
    tasks: Vec<TaskRow>,
    /// Leases that the last request took away, and whether they had been renewed since they were read.
    pub(crate) taken: Vec<(Lease, bool)>,
    /// The promise that was broken, if one was.
    pub(crate) violation: Option<String>,
}

#[derive(Debug)]
struct LeaseRow {
    terms: LeaseTerms,
    epoch: i64,
    renewals: i64,
    taken: bool,
    /// Whether the lease is that of a monitor, not a worker's own.
    of_monitor: bool,
}

#[derive(Debug)]
struct WorkerRow {
    lease: usize,
    ended: bool,
}

#[derive(Debug, Default)]
struct TaskRow {
    run: u64,
    worker: Option<usize>,
}

impl Database {
    pub(crate) fn with_tasks(tasks: usize) -> Database {
        let tasks = (0..tasks).map(|_| TaskRow::default()).collect();
        Database { tasks, ..Database::default() }
    }

    pub(crate) fn execute(&mut self, request: Request, missing: Option<MissingSafeguard>) -> Reply {
        match request {
            Request::RegisterMonitor(terms) => Reply::Registered(self.new_lease(terms, true)),
            Request::Poll { lease, renew } => {
                let lease_is_current = self.is_current(lease);
                if lease_is_current && renew {
                    self.leases[lease.id as usize].renewals += 1;
                }
                Reply::Polled { lease_is_current, leases: self.next_leases(lease) }
            }
            Request::TakeLease(snapshot) => {
                self.take(snapshot, missing);
                Reply::Done
            }
            Request::EndWorker { row } => {
                self.end_worker(row);
                Reply::Done
            }
            Request::CreateWorker { lease } => {
                self.workers.push(WorkerRow { lease: lease.id as usize, ended: false });
                Reply::WorkerCreated(self.workers.len() - 1)
            }
            Request::Claim { row, lease } => Reply::Claimed(self.claim(row, lease)),
            Request::Complete { row, task, run } => {
                self.complete(row, task, run, missing);
                Reply::Done
            }
            Request::CreateOwnLease { row, lease } => {
                if !self.is_current(lease) && missing != Some(MissingSafeguard::Guard) {
                    return Reply::OwnLease(None);
                }
                let own = self.new_lease(self.leases[lease.id as usize].terms, false);
                self.workers[row].lease = own.id as usize;
                Reply::OwnLease(Some(own))
            }
            Request::RenewOwnLease { lease } => {
                let is_current = self.is_current(lease);
                if is_current {
                    self.leases[lease.id as usize].renewals += 1;
                }
                Reply::Renewed(is_current)
            }
        }
    }

    fn complete(&mut self, row: usize, task: usize, run: u64, missing: Option<MissingSafeguard>) {
        let current = (self.tasks[task].run, self.tasks[task].worker) == (run, Some(row));
        if current || missing == Some(MissingSafeguard::Fence) {
            if !current && self.tasks[task].run != run {
                self.violation = Some(format!("run {run} of task {task} is not current"));
            }
            self.tasks[task].worker = None;
        }
    }

    fn take(&mut self, snapshot: LeaseSnapshot, missing: Option<MissingSafeguard>) {
        let row = &mut self.leases[snapshot.lease.id as usize];
        let same = (row.epoch, row.renewals) == (snapshot.lease.epoch, snapshot.renewals);
        if !row.taken && (same || missing == Some(MissingSafeguard::CompareAndSet)) {
            row.taken = true;
            row.epoch += 1;
            self.taken.push((snapshot.lease, !same));
            self.sweep(snapshot.lease.id as usize);
        }
    }

    pub(crate) fn has_ended(&self, row: usize) -> bool {
        self.workers[row].ended
    }

    fn claim(&mut self, row: usize, lease: Lease) -> Option<(usize, u64)> {
        // The worker already has a task if the reply to an earlier claim was lost.
        if let Some(claimed) = self.tasks.iter().position(|task| task.worker == Some(row)) {
            return Some((claimed, self.tasks[claimed].run));
        }
        if !self.is_current(lease) || self.workers[row].ended {
            return None;
        }
        let ready = self.tasks.iter().position(|task| task.worker.is_none())?;
        let task = &mut self.tasks[ready];
        task.run += 1;
        task.worker = Some(row);
        Some((ready, task.run))
    }

    fn new_lease(&mut self, terms: LeaseTerms, of_monitor: bool) -> Lease {
        self.leases.push(LeaseRow { terms, epoch: 1, renewals: 0, taken: false, of_monitor });
        Lease { id: self.leases.len() as i64 - 1, epoch: 1 }
    }

    fn is_current(&self, lease: Lease) -> bool {
        let row = &self.leases[lease.id as usize];
        row.epoch == lease.epoch && !row.taken
    }

    /// The leases that the monitor with the lease `own` observes: those that follow in the ring of leases, up to the
    /// second monitor.
    fn next_leases(&self, own: Lease) -> Vec<(LeaseSnapshot, LeaseTerms)> {
        let own = own.id as usize;
        let ring = (own + 1..self.leases.len()).chain(0..own);
        let mut monitors = 0;
        let live = ring.filter(|id| !self.leases[*id].taken).take_while(|id| {
            let is_last = monitors == OBSERVED_MONITORS;
            monitors += usize::from(self.leases[*id].of_monitor);
            !is_last
        });
        let snapshot = |id: usize| {
            let row = &self.leases[id];
            let lease = Lease { id: id as i64, epoch: row.epoch };
            (LeaseSnapshot { lease, renewals: row.renewals }, row.terms)
        };
        live.map(snapshot).collect()
    }

    /// Records the end of all workers that depended on a lease.
    fn sweep(&mut self, lease: usize) {
        for row in 0..self.workers.len() {
            if self.workers[row].lease == lease && !self.workers[row].ended {
                self.end_worker(row);
            }
        }
    }

    /// Records the end of a worker. Its task is queued again.
    fn end_worker(&mut self, row: usize) {
        self.workers[row].ended = true;
        for task in &mut self.tasks {
            if task.worker == Some(row) {
                task.worker = None;
            }
        }
    }
}
