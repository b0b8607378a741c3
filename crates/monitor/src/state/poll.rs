//! The poll of the database, once a second and after notifications: the contents of the request, and the decisions that
//! follow from the reply.
//!
//! The statement is the SQL function `rework.monitor_poll`, called by `core/src/fleet/monitor_poll.rs`.

use std::time::{Duration, Instant};

use rework_core::{
    db::size_limit::MISSES,
    fleet::{
        monitor_poll::{MAX_PROMOTED, RunToAbort, WorkerRequest},
        stop_worker::StopMode,
    },
};
use rework_wire::worker::{AbortCause, ToWorker};

use crate::{
    cleanup_plan::{DRAINED, KillReason},
    event::{Action, CompletedPoll},
    state::{State, drain::Drain, pool_size::SHUTDOWN, subscriptions::Domains, worker::Worker},
};

/// The part of a poll request that the state decides.
#[derive(Debug, Default)]
pub(crate) struct PollPlan {
    /// The domains with an idle worker, for which the monitor wants notifications. `None` if they are not sent.
    pub(crate) subscriptions: Option<Vec<String>>,
    /// The number of renewals of the lease that the database is known to have stored.
    pub(crate) known_renewals: i64,
    /// The recovery of the server after which all runs of this monitor were checked. `None` if there is none.
    pub(crate) checked_recovery: Option<i64>,
    /// The workers for which the poll reads abort, shutdown and kill requests.
    pub(crate) workers: Vec<i64>,
    /// The workers that died recently. The poll finds their late claims: claims that were sent
    /// before the death of the worker and committed after it.
    pub(crate) dead_workers: Vec<i64>,
    /// The domains whose ready tasks are counted, each with the number at which counting stops.
    pub(crate) count_ready: Vec<(String, i64)>,
    /// All served domains.
    pub(crate) domains: Vec<String>,
    /// Whether all runs are aborted.
    pub(crate) abort_all: bool,
    /// The domains whose schedules are fired.
    pub(crate) schedule_domains: Vec<String>,
}

impl State {
    /// Plans the next poll.
    ///
    /// The poll counts the ready tasks of each domain that may get more workers. A regular poll
    /// also counts those of domains with a worker that is not busy, in case a notification was
    /// lost, and it withdraws subscriptions. During a drain no tasks are counted.
    pub(crate) fn poll_plan(&mut self, regular: bool) -> PollPlan {
        for worker in self.workers.values_mut() {
            worker.was_available = worker.is_available();
        }
        let mut count_ready = Vec::new();
        let domains: Vec<String> = self.pools.keys().cloned().collect();
        for domain in &domains {
            let load = self.load(domain);
            let max = self.bounds.of(domain).max;
            let matters = (regular && self.has_free_worker(domain)) || load.size < max;
            // After polls that missed their deadline, the next one has less to do.
            let counted = matters && self.drain.is_none() && self.missed_polls < MISSES;
            if let Some(pool) = self.pools.get_mut(domain) {
                pool.counted = counted;
            }
            if counted {
                // More tasks than this cannot change the size of the pool.
                count_ready.push((domain.clone(), i64::from(max + load.available)));
            }
        }
        let idle = if self.drain.is_none() { self.idle_domains() } else { Domains::default() };
        let recently_dead = self.recently_dead.keys().copied();
        PollPlan {
            subscriptions: if regular { self.subscriptions.take_for_poll(&idle) } else { None },
            known_renewals: self.own_lease.renewals(),
            checked_recovery: self.recovery_check.checked(),
            workers: self.workers.keys().copied().collect(),
            dead_workers: recently_dead.filter(|id| !self.cleaning_up.contains(id)).collect(),
            count_ready,
            schedule_domains: if self.drain.is_none() { domains.clone() } else { Vec::new() },
            domains,
            abort_all: self.drain.as_ref().is_some_and(Drain::aborts),
        }
    }

    /// Handles the end of a poll.
    pub(crate) fn polled(&mut self, poll: CompletedPoll, now: Instant) {
        if poll.sent_subscriptions {
            self.confirm_subscriptions(poll.reply.is_some());
        }
        let recovery = poll.reply.as_ref().and_then(|reply| reply.recovery);
        if recovery.is_some() && recovery != self.recovery_check.recovery() {
            // The leases that were read before may be newer than those that the database has now.
            self.restart_observation();
        }
        self.find_lost_hosts(&poll);
        self.record_lease(&poll, now);
        self.refusal = poll.refusal;
        let Some(reply) = poll.reply else { return };
        self.missed_polls = 0;
        self.drain_reply_received(now);
        if reply.renewals.is_none() {
            self.lease_lost(now);
            return;
        }
        if poll.regular {
            self.record_start_faults();
            self.record_pauses();
        }
        self.follow_recovery(&reply);
        self.follow_pauses(&reply);
        for abort in &reply.aborts {
            self.abort(abort);
        }
        for request in &reply.worker_requests {
            self.stop_worker(request);
        }
        if self.drain.is_none() {
            self.resize_pools(&reply, poll.regular, now);
            if !reply.new_domains.is_empty() {
                self.actions.push(Action::TakeDomains(reply.new_domains));
            }
            if reply.schedule_is_due {
                let domains = self.pools.keys().cloned().collect();
                self.actions.push(Action::Fire(domains));
            } else {
                self.schedule_lateness.observe(Duration::ZERO, now);
            }
        }
        self.actions.extend(reply.late_claims.into_iter().map(Action::RecordLateClaim));
        // The poll made as many delayed tasks ready as it may at once. There are probably more.
        if reply.promoted >= MAX_PROMOTED {
            self.actions.push(Action::PollNow);
        }
    }

    /// Counts polls without a reply. If there were several in a row, the next one has less to do.
    pub(super) fn poll_missed_deadline(&mut self, now: Instant) {
        self.missed_polls = self.missed_polls.saturating_add(1);
        if self.missed_polls >= MISSES {
            tracing::warn!(
                "the poll of this monitor was not answered in time, {} times in a row; \
                 it is tried again, with less to do",
                self.missed_polls
            );
            let (process, statement) = ("monitor".to_owned(), "its poll".to_owned());
            self.overdue_statements.record(process, statement, now);
        }
    }

    /// Passes an abort on to the worker. Workers of earlier monitors poll for aborts themselves.
    fn abort(&mut self, abort: &RunToAbort) {
        if self.workers.get(&abort.worker).is_none_or(Worker::is_orphan) {
            return;
        }
        let (cause, reason) = match &abort.reason {
            Some(reason) if abort.requested => (AbortCause::Requested, reason.as_str()),
            None if abort.requested => (AbortCause::Requested, "aborted"),
            _ => (AbortCause::Drained, DRAINED),
        };
        let (task, run, reason) = (abort.task, abort.run, reason.to_owned());
        let message = ToWorker::Abort { task, run, cause, reason };
        self.actions.push(Action::Send(abort.worker, message));
    }

    /// Carries out the commands `shutdown-worker` and `kill-worker`.
    fn stop_worker(&mut self, request: &WorkerRequest) {
        match request.requested {
            StopMode::Shutdown => self.retire(request.worker, SHUTDOWN),
            StopMode::Kill => self.kill(request.worker, KillReason::KillWorker),
        }
    }
}
