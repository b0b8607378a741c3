//! The poll of the database, once a second and at every hint: what it asks, and what follows from the
//! answer.

use std::time::Instant;

use rework_core::fleet::heartbeat::{Abort, Asked, MOST_PROMOTED, Wish};
use rework_wire::worker::{AbortCause, ToWorker};

use crate::{
    cleanup_plan::{DRAINED, Sentence},
    event::{Action, Poll},
    state::{State, drain::Drain, pool_size::SHUTDOWN, subscriptions::Domains, worker::Worker},
};

/// The part of a poll that the state decides.
#[derive(Debug, Default)]
pub(crate) struct PollRequest {
    /// The domains for which the monitor wants notifications; `None` if they are not told.
    pub(crate) subscriptions: Option<Vec<String>>,
    /// The workers of which aborts, shutdowns and kills are asked for.
    pub(crate) workers: Vec<i64>,
    /// The dead workers of which a late claim may appear.
    pub(crate) dead: Vec<i64>,
    /// The domains whose waiting tasks are counted, each with the number that is enough.
    pub(crate) count: Vec<(String, i64)>,
    /// All domains that are served.
    pub(crate) domains: Vec<String>,
    /// Whether all runs are to be aborted.
    pub(crate) abort_all: bool,
    /// The domains whose schedules are fired.
    pub(crate) fires: Vec<String>,
}

impl State {
    /// A poll begins. The regular one also withdraws subscriptions, and counts the tasks that wait for
    /// idle workers, in case that a hint was lost.
    pub(crate) fn poll_request(&mut self, regular: bool) -> PollRequest {
        for worker in self.workers.values_mut() {
            worker.was_spare = worker.is_spare();
        }
        let mut count = Vec::new();
        let domains: Vec<String> = self.pools.keys().cloned().collect();
        for domain in &domains {
            let load = self.load(domain);
            let max = self.bounds.of(domain).max;
            let matters = (regular && self.has_free(domain)) || load.size < max;
            let counted = matters && self.drain.is_none();
            if let Some(pool) = self.pools.get_mut(domain) {
                pool.counted = counted;
            }
            if counted {
                count.push((domain.clone(), i64::from(max + load.spare)));
            }
        }
        let idle = if self.drain.is_none() { self.idle_domains() } else { Domains::default() };
        PollRequest {
            subscriptions: if regular { self.subscriptions.tell(&idle) } else { None },
            workers: self.workers.keys().copied().collect(),
            dead: self.dead.keys().copied().filter(|id| !self.being_cleaned.contains(id)).collect(),
            count,
            fires: if self.drain.is_none() { domains.clone() } else { Vec::new() },
            domains,
            abort_all: self.drain.as_ref().is_some_and(Drain::aborts),
        }
    }

    /// A poll is over.
    pub(crate) fn polled(&mut self, poll: Poll, now: Instant) {
        if poll.told_subscriptions {
            self.published(poll.answer.is_some());
        }
        self.find_lost_hosts(&poll);
        self.note_renewal(&poll);
        let Some(answer) = poll.answer else { return };
        self.drain_heard(now);
        if !answer.held {
            self.lease_lost(now);
            return;
        }
        for abort in &answer.aborts {
            self.abort(abort);
        }
        for asked in &answer.asked {
            self.asked(asked);
        }
        if self.drain.is_none() {
            self.fit_pools(&answer, poll.regular, now);
            if !answer.found.is_empty() {
                self.actions.push(Action::Take(answer.found));
            }
            if answer.fires {
                let domains = self.pools.keys().cloned().collect();
                self.actions.push(Action::Fire(domains));
            }
        }
        self.actions.extend(answer.stray.into_iter().map(Action::RecordLateClaim));
        if answer.promoted >= MOST_PROMOTED {
            self.actions.push(Action::Poll);
        }
    }

    /// Passes an abort on to the worker. Workers of earlier monitors poll for aborts themselves.
    fn abort(&mut self, abort: &Abort) {
        if self.workers.get(&abort.worker).is_none_or(Worker::is_orphan) {
            return;
        }
        let (cause, reason) = match &abort.reason {
            Some(reason) if abort.asked => (AbortCause::Asked, reason.as_str()),
            None if abort.asked => (AbortCause::Asked, "aborted"),
            _ => (AbortCause::Drained, DRAINED),
        };
        let (task, run, reason) = (abort.task, abort.run, reason.to_owned());
        let tell = Action::Tell(abort.worker, ToWorker::Abort { task, run, cause, reason });
        self.actions.push(tell);
    }

    /// A command asked for the end of a worker.
    fn asked(&mut self, asked: &Asked) {
        match asked.asked {
            Wish::Shutdown => self.retire(asked.worker, SHUTDOWN),
            Wish::Kill => self.kill(asked.worker, Sentence::KillWorker),
        }
    }
}
