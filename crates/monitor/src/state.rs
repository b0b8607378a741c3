//! The state of a monitor: its knowledge about its workers and its lease, and all its decisions. Events come in, and
//! actions go out. Nothing here waits, and nothing here uses a process or the database.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rework_wire::worker::{FromWorker, ToWorker};

use crate::{
    cleanup_plan::KillReason,
    event::{Action, Event},
    per_domain::PerDomain,
};

mod availability;
mod database_outage;
pub(crate) mod drain;
mod exclusions;
mod faulty_operation;
mod lost_hosts;
mod overdue_statements;
pub(crate) mod own_lease;
mod pauses;
pub(crate) mod poll;
pub(crate) mod pool_size;
mod recovery_check;
mod schedule_lateness;
mod start_backoff;
mod start_faults;
mod subscriptions;
mod wake;
mod worker;
mod worker_died;
mod worker_start;

use self::{
    availability::UnavailableOperations,
    drain::Drain,
    lost_hosts::LostHosts,
    overdue_statements::OverdueStatements,
    own_lease::OwnLease,
    pauses::Pauses,
    pool_size::{Bounds, Pool},
    recovery_check::RecoveryCheck,
    schedule_lateness::ScheduleLateness,
    start_faults::{StartFailure, StartFaults},
    subscriptions::{Domains, Subscriptions},
    worker::{Activity, Origin, Worker},
};

/// The state of a monitor.
#[derive(Debug)]
pub(crate) struct State {
    /// The lowest and the highest number of workers of each domain.
    pub(crate) bounds: PerDomain<Bounds>,
    /// How long a worker may take from its start to its first message.
    pub(crate) start_timeout: Duration,
    /// How long runs may continue after a signal has requested the end of the monitor. `None` means without limit.
    pub(crate) grace: Option<Duration>,
    /// The pools of the served domains, by name.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// The workers whose process runs, by id.
    pub(crate) workers: BTreeMap<i64, Worker>,
    pub(crate) subscriptions: Subscriptions,
    /// The drain in progress. `None` while the monitor works normally.
    pub(crate) drain: Option<Drain>,
    pub(crate) own_lease: OwnLease,
    pub(crate) lost_hosts: LostHosts,
    /// The operations that this host cannot start now.
    pub(crate) start_faults: StartFaults,
    /// The operations that are not available on this host now.
    pub(crate) unavailable: UnavailableOperations,
    /// The pauses of users that concern this host.
    pub(crate) pauses: Pauses,
    pub(crate) recovery_check: RecoveryCheck,
    /// The error with which the database has refused the last poll. `None` if it did not.
    pub(crate) refusal: Option<String>,
    /// The time at which the idle workers were last requested to close their connections. `None` if they never were.
    pub(crate) connections_released_at: Option<Instant>,
    pub(crate) schedule_lateness: ScheduleLateness,
    pub(crate) overdue_statements: OverdueStatements,
    /// How many polls in a row have missed their deadline.
    pub(crate) missed_polls: u32,
    /// The dead workers whose cleanup has not finished.
    pub(crate) cleaning_up: BTreeSet<i64>,
    /// The workers that died recently, with the time of their death. A late claim of them may still appear.
    pub(crate) recently_dead: BTreeMap<i64, Instant>,
    /// The decided actions that are not carried out yet.
    pub(crate) actions: Vec<Action>,
}

impl State {
    pub(crate) fn new(
        bounds: PerDomain<Bounds>,
        start_timeout: Duration,
        grace: Option<Duration>,
        domains: Vec<String>,
        own_lease: OwnLease,
    ) -> State {
        State {
            bounds,
            start_timeout,
            grace,
            pools: domains.into_iter().map(|domain| (domain, Pool::default())).collect(),
            workers: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            drain: None,
            lost_hosts: LostHosts::new(own_lease.terms()),
            own_lease,
            start_faults: StartFaults::default(),
            unavailable: UnavailableOperations::default(),
            pauses: Pauses::default(),
            recovery_check: RecoveryCheck::default(),
            refusal: None,
            connections_released_at: None,
            schedule_lateness: ScheduleLateness::default(),
            overdue_statements: OverdueStatements::default(),
            missed_polls: 0,
            cleaning_up: BTreeSet::new(),
            recently_dead: BTreeMap::new(),
            actions: Vec::new(),
        }
    }

    /// Handles an event. Appends the decided actions to `actions`.
    pub(crate) fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::Started { worker, domain } => self.worker_started(worker, domain, now),
            Event::SpawnFailed { domain, count, refusal } => {
                self.spawn_failed(&domain, count, refusal.as_deref(), now);
            }
            Event::Adopted { worker, domain } => {
                self.workers.insert(worker, Worker::new(domain, now, Origin::Earlier));
            }
            Event::WorkerMessage(worker, message) => self.worker_message(worker, message, now),
            Event::Ended { worker, exit, output_tail } => {
                self.worker_died(worker, exit, &output_tail, now);
            }
            Event::ProcessesGone(worker) => {
                self.worker_checked(worker);
                self.starts_nothing_paused(worker);
            }
            Event::CleanedUp(worker) => {
                self.cleaning_up.remove(&worker);
                self.worker_checked(worker);
                self.starts_nothing_paused(worker);
            }
            Event::Notified(notification) => self.notified(notification),
            Event::Polled(poll) => self.polled(*poll, now),
            Event::PollMissedDeadline => self.poll_missed_deadline(now),
            Event::SchedulesFired { late } => self.schedule_lateness.observe(late, now),
            Event::Published(committed) => self.confirm_subscriptions(committed),
            Event::DomainsTaken(domains) => self.serve_domains(domains),
            Event::StartFaultsRecorded(faults) => self.start_faults_recorded(faults),
            Event::PausesRecorded(ids) => self.pauses_recorded(ids),
            Event::DatabaseBack => self.database_back(),
            Event::ConnectionRefused => self.connection_refused(now),
            Event::DatabaseDown { attempted_at } => self.database_down(attempted_at, now),
            Event::Signal(signal) => self.signal_received(signal, now),
        }
    }

    /// Does everything that is due by now: start timeouts, further attempts to start operations, forgetting dead
    /// workers, the next phase of a drain.
    pub(crate) fn on_time(&mut self, now: Instant) {
        self.kill_start_timeouts(now);
        self.start_faults_on_time(now);
        self.availability_on_time(now);
        self.forget_dead(now);
        self.drain_on_time(now);
    }

    /// Returns when [`State::on_time`] has something to do next. `None` if nothing is scheduled.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let starts = self.start_deadlines().chain(self.start_fault_deadlines());
        let starts = starts.chain(self.availability_deadlines());
        starts.chain(self.drain_deadline()).min()
    }

    /// Sends a message to every worker that this monitor started.
    pub(crate) fn send_to_all(&mut self, message: &ToWorker) {
        let receivers = self.workers.iter().filter(|(_, worker)| !worker.is_orphan());
        let sends = receivers.map(|(id, _)| Action::Send(*id, message.clone()));
        self.actions.extend(sends);
    }

    /// Requests a worker to claim no more tasks, and to exit when its current runs have ended.
    /// Does nothing if the worker is retired already.
    pub(crate) fn retire(&mut self, id: i64, reason: &str) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| !worker.retired) else {
            return;
        };
        worker.retired = true;
        let reason = reason.to_owned();
        self.actions.push(Action::Send(id, ToWorker::Retire { reason }));
    }

    /// Kills a worker. Does nothing if the worker was killed before.
    pub(crate) fn kill(&mut self, id: i64, reason: KillReason) {
        let alive = self.workers.get_mut(&id).filter(|worker| worker.kill_reason.is_none());
        if let Some(worker) = alive {
            worker.kill_reason = Some(reason);
            self.actions.push(Action::Kill(id));
        }
    }

    /// Returns the domains with an idle worker.
    pub(crate) fn idle_domains(&self) -> Domains {
        let idle = self.workers.values().filter(|worker| worker.is_idle());
        idle.map(|worker| worker.domain.clone()).collect()
    }

    fn worker_message(&mut self, id: i64, message: FromWorker, now: Instant) {
        match message {
            FromWorker::Started => {
                self.actions.push(Action::RecordReady(id));
                self.set_activity(id, Activity::Claiming { woken: false });
            }
            FromWorker::Idle => self.worker_is_idle(id),
            FromWorker::Busy => {
                self.reset_waiting(id);
                self.worker_is_busy(id);
            }
            FromWorker::StartFailed { operation, name, of_host, reason } => {
                let failure = StartFailure { operation, name, of_host, reason };
                self.start_failed(id, failure, now);
            }
            FromWorker::OperationUnavailable { operation, name, reason } => {
                self.operation_unavailable(id, operation, name, reason, now);
            }
            FromWorker::OperationAvailable { operation } => self.operation_available(operation),
            FromWorker::StartSucceeded { operation } => self.start_succeeded(id, operation),
            FromWorker::PausesConfirmed { number } => self.pauses_confirmed(id, number),
            FromWorker::Overdue { statement } => {
                self.overdue_statements.record(format!("worker {id}"), statement, now);
            }
            FromWorker::OwnLease => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.has_own_lease = true;
                    worker.retired = true;
                }
            }
            FromWorker::NoConnection => self.connection_refused(now),
            FromWorker::RunsChecked { recovery, is_complete } => {
                self.runs_checked(id, recovery, is_complete);
            }
            FromWorker::Leaving { reason } => self.set_activity(id, Activity::Leaving(reason)),
        }
    }

    /// Resets the waiting time of a domain, since a worker of it has claimed a task.
    fn reset_waiting(&mut self, id: i64) {
        let domain = self.workers.get(&id).map(|worker| &worker.domain);
        if let Some(pool) = domain.and_then(|domain| self.pools.get_mut(domain)) {
            pool.waits_since = None;
        }
    }

    pub(crate) fn set_activity(&mut self, id: i64, activity: Activity) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.activity = activity;
            worker.was_available |= worker.is_available();
        }
    }
}

#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;
