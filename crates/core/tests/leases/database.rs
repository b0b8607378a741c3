//! The database of the simulated world. It does what the SQL statements of the product do to leases, workers and tasks.

use std::collections::BTreeSet;

use rework_core::lease::row::{Lease, LeaseSnapshot};
use rework_wire::lease::LeaseTerms;

use crate::request::{MissingSafeguard, Reply, Request};

/// The number of monitors that each monitor observes. It is smaller than the number of monitors, so that none observes
/// all others.
const OBSERVED_MONITORS: usize = 2;

#[derive(Debug, Default, Clone)]
pub(crate) struct Database {
    leases: Vec<LeaseRow>,
    workers: Vec<WorkerRow>,
    tasks: Vec<TaskRow>,
    /// The recovery after a failover that is in progress. Nothing is claimed until it is over.
    recovery: Option<u64>,
    /// The leases whose holders have checked their runs after the present recovery.
    checked: BTreeSet<usize>,
    /// The number of failovers so far.
    failovers: u64,
    /// Leases that the last request took away, and whether they had been renewed since they were read.
    pub(crate) taken: Vec<(Lease, bool)>,
    /// The promise that was broken, if one was.
    pub(crate) violation: Option<String>,
}

#[derive(Debug, Clone)]
struct LeaseRow {
    terms: LeaseTerms,
    epoch: i64,
    renewals: i64,
    /// Whether the lease was taken away. A lease that a failover has lost counts as taken away.
    taken: bool,
    /// Whether the lease is that of a monitor, not a worker's own.
    of_monitor: bool,
}

#[derive(Debug, Clone)]
struct WorkerRow {
    lease: usize,
    /// Whether the end of the worker is recorded. A worker that a failover has lost counts as ended.
    ended: bool,
}

#[derive(Debug, Default, Clone)]
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
            Request::Poll { lease, renew, known_renewals, checked } => {
                self.continue_recovery(lease, checked);
                Reply::Polled {
                    renewals: self.renew(lease, renew, known_renewals),
                    recovery: self.recovery,
                    leases: self.next_leases(lease),
                }
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
            Request::Claim { row, lease } => Reply::Claimed(self.claim(row, lease, missing)),
            Request::Complete { row, task, run } => {
                self.complete(row, task, run, missing);
                Reply::Done
            }
            Request::CreateOwnLease { row, lease } => {
                let is_lost = !self.is_current(lease) || self.workers[row].ended;
                if is_lost && missing != Some(MissingSafeguard::Guard) {
                    return Reply::OwnLease(None);
                }
                let own = self.new_lease(self.leases[lease.id as usize].terms, false);
                self.workers[row].lease = own.id as usize;
                Reply::OwnLease(Some(own))
            }
            Request::RenewOwnLease { lease, known_renewals, checked } => {
                self.continue_recovery(lease, checked);
                let renewals = self.renew(lease, true, known_renewals);
                Reply::Renewed { renewals, recovery: self.recovery }
            }
            Request::CheckRuns { row, run, last_end } => {
                let has = |(task, run): (usize, u64)| {
                    (self.tasks[task].run, self.tasks[task].worker) == (run, Some(row))
                };
                let is_complete = run.is_none_or(has) && !last_end.is_some_and(has);
                Reply::RunsChecked(is_complete && !self.workers[row].ended)
            }
        }
    }

    /// Goes back to an earlier state, as after the failover to a standby that has not received the last transactions.
    /// The ids of lost rows are not assigned again.
    pub(crate) fn go_back(&mut self, mut earlier: Database) {
        for lost in &self.leases[earlier.leases.len()..] {
            earlier.leases.push(LeaseRow { taken: true, ..lost.clone() });
        }
        for lost in &self.workers[earlier.workers.len()..] {
            earlier.workers.push(WorkerRow { ended: true, ..lost.clone() });
        }
        earlier.failovers = self.failovers + 1;
        earlier.recovery = Some(earlier.failovers);
        earlier.checked.clear();
        *self = earlier;
    }

    /// Notes that the holder of a lease has checked its runs after the recovery `checked`. The recovery is over when
    /// all holders have done so.
    fn continue_recovery(&mut self, lease: Lease, checked: Option<u64>) {
        if self.recovery.is_none() {
            return;
        }
        if checked == self.recovery {
            self.checked.insert(lease.id as usize);
        }
        let is_live = |id: usize| {
            let has_worker =
                || self.workers.iter().any(|worker| worker.lease == id && !worker.ended);
            !self.leases[id].taken && (self.leases[id].of_monitor || has_worker())
        };
        let mut live = (0..self.leases.len()).filter(|id| is_live(*id));
        let all_are_checked = live.all(|id| self.checked.contains(&id));
        if all_are_checked {
            self.recovery = None;
        }
    }

    /// Renews a lease if `renew` is set and the known renewals are stored. Returns the number of renewals. `None` if
    /// the lease does not exist any more.
    fn renew(&mut self, lease: Lease, renew: bool, known_renewals: i64) -> Option<i64> {
        if !self.is_current(lease) {
            return None;
        }
        let row = &mut self.leases[lease.id as usize];
        if renew && row.renewals >= known_renewals {
            row.renewals += 1;
        }
        Some(row.renewals)
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

    fn claim(
        &mut self,
        row: usize,
        lease: Lease,
        missing: Option<MissingSafeguard>,
    ) -> Option<(usize, u64)> {
        let may_claim = self.recovery.is_none() || missing == Some(MissingSafeguard::RecoveryCheck);
        if !may_claim {
            return None;
        }
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
