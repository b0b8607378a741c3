//! The database of the simulated world: what the statements do, and nothing else.

use rework_core::lease::row::{Lease, Seen};
use rework_wire::lease::Terms;

/// Each monitor watches up to so many next leases of monitors: fewer than there are.
const WATCHED: usize = 2;

/// The safeguard that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The end of a run is recorded whichever run is current.
    Fence,
    /// A lease is taken away though it has moved.
    Compare,
    /// Nobody dies when its lease has run out.
    SelfKill,
    /// A worker makes a lease of its own though the one before was taken away.
    Guard,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    /// A monitor begins.
    Begin(Terms),
    Look {
        lease: Lease,
        renew: bool,
    },
    Take(Seen),
    /// A monitor saw a worker of its own dead.
    Close {
        row: usize,
    },
    Create {
        lease: Lease,
    },
    Claim {
        row: usize,
        lease: Lease,
    },
    Complete {
        row: usize,
        task: usize,
        run: u64,
    },
    Adopt {
        row: usize,
        lease: Lease,
    },
    Renew {
        lease: Lease,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The server is not there.
    Away,
    Begun(Lease),
    Looked {
        held: bool,
        leases: Vec<(Seen, Terms)>,
    },
    Done,
    Created(usize),
    Claimed(Option<(usize, u64)>),
    Adopted(Option<Lease>),
    Renewed(bool),
}

#[derive(Debug, Default)]
pub(crate) struct Database {
    leases: Vec<LeaseRow>,
    workers: Vec<WorkerRow>,
    tasks: Vec<TaskRow>,
    /// Leases that were taken away just now, and whether they had moved since they were seen.
    pub(crate) taken: Vec<(Lease, bool)>,
    pub(crate) fault: Option<String>,
}

#[derive(Debug)]
struct LeaseRow {
    terms: Terms,
    epoch: i64,
    renewals: i64,
    taken: bool,
    /// A monitor's, not a worker's own.
    monitors: bool,
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

    pub(crate) fn answer(&mut self, ask: Ask, flaw: Option<Flaw>) -> Answer {
        match ask {
            Ask::Begin(terms) => Answer::Begun(self.new_lease(terms, true)),
            Ask::Look { lease, renew } => {
                let held = self.is_current(lease);
                if held && renew {
                    self.leases[lease.id as usize].renewals += 1;
                }
                Answer::Looked { held, leases: self.next_leases(lease) }
            }
            Ask::Take(seen) => {
                self.take(seen, flaw);
                Answer::Done
            }
            Ask::Close { row } => {
                self.end_worker(row);
                Answer::Done
            }
            Ask::Create { lease } => {
                self.workers.push(WorkerRow { lease: lease.id as usize, ended: false });
                Answer::Created(self.workers.len() - 1)
            }
            Ask::Claim { row, lease } => Answer::Claimed(self.claim(row, lease)),
            Ask::Complete { row, task, run } => {
                self.complete(row, task, run, flaw);
                Answer::Done
            }
            Ask::Adopt { row, lease } => {
                if !self.is_current(lease) && flaw != Some(Flaw::Guard) {
                    return Answer::Adopted(None);
                }
                let own = self.new_lease(self.leases[lease.id as usize].terms, false);
                self.workers[row].lease = own.id as usize;
                Answer::Adopted(Some(own))
            }
            Ask::Renew { lease } => {
                let held = self.is_current(lease);
                if held {
                    self.leases[lease.id as usize].renewals += 1;
                }
                Answer::Renewed(held)
            }
        }
    }

    fn complete(&mut self, row: usize, task: usize, run: u64, flaw: Option<Flaw>) {
        let current = (self.tasks[task].run, self.tasks[task].worker) == (run, Some(row));
        if current || flaw == Some(Flaw::Fence) {
            if !current && self.tasks[task].run != run {
                self.fault = Some(format!("run {run} of task {task} is not current"));
            }
            self.tasks[task].worker = None;
        }
    }

    fn take(&mut self, seen: Seen, flaw: Option<Flaw>) {
        let row = &mut self.leases[seen.lease.id as usize];
        let same = (row.epoch, row.renewals) == (seen.lease.epoch, seen.renewals);
        if !row.taken && (same || flaw == Some(Flaw::Compare)) {
            row.taken = true;
            row.epoch += 1;
            self.taken.push((seen.lease, !same));
            self.sweep(seen.lease.id as usize);
        }
    }

    pub(crate) fn has_ended(&self, row: usize) -> bool {
        self.workers[row].ended
    }

    fn claim(&mut self, row: usize, lease: Lease) -> Option<(usize, u64)> {
        if let Some(held) = self.tasks.iter().position(|task| task.worker == Some(row)) {
            return Some((held, self.tasks[held].run));
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

    fn new_lease(&mut self, terms: Terms, monitors: bool) -> Lease {
        self.leases.push(LeaseRow { terms, epoch: 1, renewals: 0, taken: false, monitors });
        Lease { id: self.leases.len() as i64 - 1, epoch: 1 }
    }

    fn is_current(&self, lease: Lease) -> bool {
        let row = &self.leases[lease.id as usize];
        row.epoch == lease.epoch && !row.taken
    }

    /// Those that follow this one in the ring of what was not taken away, as far as a monitor's.
    fn next_leases(&self, own: Lease) -> Vec<(Seen, Terms)> {
        let own = own.id as usize;
        let ring = (own + 1..self.leases.len()).chain(0..own);
        let mut monitors = 0;
        let live = ring.filter(|id| !self.leases[*id].taken).take_while(|id| {
            let reached = monitors == WATCHED;
            monitors += usize::from(self.leases[*id].monitors);
            !reached
        });
        let seen = |id: usize| {
            let row = &self.leases[id];
            let lease = Lease { id: id as i64, epoch: row.epoch };
            (Seen { lease, renewals: row.renewals }, row.terms)
        };
        live.map(seen).collect()
    }

    /// Whoever lived by the lease is dead.
    fn sweep(&mut self, lease: usize) {
        for row in 0..self.workers.len() {
            if self.workers[row].lease == lease && !self.workers[row].ended {
                self.end_worker(row);
            }
        }
    }

    /// What it ran is lost, and queued again.
    fn end_worker(&mut self, row: usize) {
        self.workers[row].ended = true;
        for task in &mut self.tasks {
            if task.worker == Some(row) {
                task.worker = None;
            }
        }
    }
}
