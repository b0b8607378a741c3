//! The state of a monitor: what it knows of its workers, and what it decides. Nothing here waits, and
//! nothing here touches a process or the database: events come in, actions go out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rework_wire::worker::{FromWorker, ToWorker};

use crate::{
    cleanup_plan::Sentence,
    event::{Action, Event},
    per_domain::PerDomain,
};

mod leases_while_away;
pub(crate) mod drain;
mod lost_hosts;
pub(crate) mod own_lease;
pub(crate) mod poll;
pub(crate) mod pool_size;
mod restart_backoff;
mod subscriptions;
mod wake;
mod worker;
mod worker_died;
mod worker_start;

use self::{
    drain::Drain,
    lost_hosts::LostHosts,
    own_lease::OwnLease,
    pool_size::{Bounds, Pool},
    subscriptions::{Domains, Subscriptions},
    worker::{Doing, Origin, Worker},
};

/// Everything that a monitor knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) bounds: PerDomain<Bounds>,
    pub(crate) start_timeout: Duration,
    pub(crate) grace: Option<Duration>,
    pub(crate) pools: BTreeMap<String, Pool>,
    pub(crate) workers: BTreeMap<i64, Worker>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) drain: Option<Drain>,
    pub(crate) own_lease: OwnLease,
    pub(crate) lost_hosts: LostHosts,
    /// Dead workers after which the cleanup is not finished.
    pub(crate) being_cleaned: BTreeSet<i64>,
    /// Workers that died lately, and when.
    pub(crate) dead: BTreeMap<i64, Instant>,
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
            being_cleaned: BTreeSet::new(),
            dead: BTreeMap::new(),
            actions: Vec::new(),
        }
    }

    /// Takes note of an event. The actions that follow are in `actions` afterwards.
    pub(crate) fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::Born { worker, domain } => self.born(worker, domain, now),
            Event::Unborn { domain, count, refused } => self.unborn(&domain, count, refused, now),
            Event::Adopted { worker, domain } => {
                self.workers.insert(worker, Worker::new(domain, now, Origin::Left));
            }
            Event::Said(worker, message) => self.said(worker, message),
            Event::Ended { worker, exit, last_words } => {
                self.worker_died(worker, exit, &last_words, now);
            }
            Event::CleanedUp(worker) => {
                self.being_cleaned.remove(&worker);
            }
            Event::Hint(hint) => self.hinted(hint),
            Event::Polled(poll) => self.polled(poll, now),
            Event::Published(committed) => self.published(committed),
            Event::Serves(domains) => self.serves(domains),
            Event::Back => self.back(),
            Event::Away { asked_at } => self.away(asked_at),
            Event::Signal(signal) => self.signalled(signal, now),
        }
    }

    /// Takes note of the time.
    pub(crate) fn on_time(&mut self, now: Instant) {
        self.kill_late_starters(now);
        self.forget_dead(now);
        self.drain_on_time(now);
    }

    /// When [`State::on_time`] has something to do next, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.start_deadlines().chain(self.drain_deadline()).min()
    }

    /// Sends a message to every worker that can receive it.
    pub(crate) fn tell_all(&mut self, message: &ToWorker) {
        let hearing = self.workers.iter().filter(|(_, worker)| !worker.is_orphan());
        let tell = hearing.map(|(id, _)| Action::Tell(*id, message.clone()));
        self.actions.extend(tell);
    }

    /// Asks a worker to leave, once.
    pub(crate) fn retire(&mut self, id: i64, reason: &str) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| !worker.retired) else {
            return;
        };
        worker.retired = true;
        let reason = reason.to_owned();
        self.actions.push(Action::Tell(id, ToWorker::Retire { reason }));
    }

    /// Kills a worker, once.
    pub(crate) fn kill(&mut self, id: i64, why: Sentence) {
        if let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.sentence.is_none()) {
            worker.sentence = Some(why);
            self.actions.push(Action::Kill(id));
        }
    }

    /// The domains with an idle worker.
    pub(crate) fn idle_domains(&self) -> Domains {
        let idle = self.workers.values().filter(|worker| worker.is_idle());
        idle.map(|worker| worker.domain.clone()).collect()
    }

    /// A worker has said what it does.
    fn said(&mut self, id: i64, message: FromWorker) {
        match message {
            FromWorker::Up => {
                self.actions.push(Action::NoteUp(id));
                self.does(id, Doing::Looking { woken: false });
            }
            FromWorker::Idle => self.is_idle(id),
            FromWorker::Busy => {
                self.claimed(id);
                self.is_busy(id);
            }
            FromWorker::Alone => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.alone = true;
                    worker.retired = true;
                }
            }
            FromWorker::Leaving { reason } => self.does(id, Doing::Leaving(reason)),
        }
    }

    fn claimed(&mut self, id: i64) {
        let domain = self.workers.get(&id).map(|worker| &worker.domain);
        if let Some(pool) = domain.and_then(|domain| self.pools.get_mut(domain)) {
            pool.waits_since = None;
        }
    }

    pub(crate) fn does(&mut self, id: i64, doing: Doing) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.doing = doing;
            worker.was_spare |= worker.is_spare();
        }
    }
}

#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;
