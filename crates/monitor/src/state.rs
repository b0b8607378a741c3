//! What a monitor knows of its workers, and what it makes of what happens. Nothing here waits,
//! and nothing here touches a process or the database: events come in, actions go out.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::{Duration, Instant},
};

use rework_process::Exit;
use rework_wire::worker::FromWorker;

use crate::{
    by_domain::ByDomain,
    closing::{Closing, Sentence},
    drain::Drain,
    event::{Action, Event},
    pool::{Bounds, Damper},
    tenure::Tenure,
    wants::{Domains, Wants},
    worker::{Doing, Origin, Worker},
};

/// A claim that a worker sent before it died is committed within this time, or never.
const LATE_CLAIM: Duration = Duration::from_secs(60);

/// All that is known.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) bounds: ByDomain<Bounds>,
    pub(crate) start_timeout: Duration,
    pub(crate) grace: Option<Duration>,
    pub(crate) pools: BTreeMap<String, Pool>,
    pub(crate) workers: BTreeMap<i64, Worker>,
    pub(crate) wants: Wants,
    pub(crate) drain: Option<Drain>,
    pub(crate) tenure: Tenure,
    /// Dead workers whose end is not recorded yet.
    pub(crate) closing: BTreeSet<i64>,
    /// Dead workers, and since when.
    pub(crate) dead: BTreeMap<i64, Instant>,
    pub(crate) actions: Vec<Action>,
}

/// The workers of one domain.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// A task may be ready, and no idle worker was there to be told.
    pub(crate) hint: bool,
    /// Workers that are being started.
    pub(crate) spawning: u32,
    /// What waits is counted by the look that is under way.
    pub(crate) counted: bool,
    pub(crate) damper: Damper,
    /// Work waits, a slot is free, and nothing has been claimed since then.
    pub(crate) waits_since: Option<Instant>,
}

impl State {
    pub(crate) fn new(
        bounds: ByDomain<Bounds>,
        start_timeout: Duration,
        grace: Option<Duration>,
        domains: Vec<String>,
        tenure: Tenure,
    ) -> State {
        State {
            bounds,
            start_timeout,
            grace,
            pools: domains.into_iter().map(|domain| (domain, Pool::default())).collect(),
            workers: BTreeMap::new(),
            wants: Wants::default(),
            drain: None,
            tenure,
            closing: BTreeSet::new(),
            dead: BTreeMap::new(),
            actions: Vec::new(),
        }
    }

    /// Takes note of what happened. What is to be done is in `actions` afterwards.
    pub(crate) fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::Born { worker, domain } => self.born(worker, domain, now),
            Event::Unborn { domain, count, refused } => self.unborn(&domain, count, refused, now),
            Event::Adopted { worker, domain } => {
                self.workers.insert(worker, Worker::new(domain, now, Origin::Left));
            }
            Event::Said(worker, message) => self.said(worker, message),
            Event::Ended { worker, exit, last_words } => {
                self.ended(worker, exit, &last_words, now);
            }
            Event::Closed(worker) => {
                self.closing.remove(&worker);
            }
            Event::Hint(hint) => self.hinted(hint),
            Event::Seen(look) => self.seen(look, now),
            Event::Published(committed) => self.published(committed),
            Event::Serves(domains) => self.serves(domains),
            Event::Back => self.back(),
            Event::Away { asked_at } => self.away(asked_at),
            Event::Signal(signal) => self.signalled(signal, now),
        }
    }

    /// Takes note of the time.
    pub(crate) fn on_time(&mut self, now: Instant) {
        let late: Vec<i64> = self.late_starters(now).map(|(worker, _)| worker).collect();
        for worker in late {
            tracing::warn!("worker {worker} did not come up within {:?}", self.start_timeout);
            self.kill(worker, Sentence::StartTimeout);
        }
        self.dead.retain(|_, since| now.duration_since(*since) < LATE_CLAIM);
        self.drain_on_time(now);
    }

    /// When [`State::on_time`] has something to do next, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let starting = self.starting().map(|(_, worker)| worker.born + self.start_timeout);
        starting.chain(self.drain_deadline()).min()
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

    fn born(&mut self, id: i64, domain: String, now: Instant) {
        if let Some(pool) = self.pools.get_mut(&domain) {
            pool.spawning = pool.spawning.saturating_sub(1);
        }
        self.workers.insert(id, Worker::new(domain, now, Origin::Ours));
        self.drain_newborn(id);
    }

    fn unborn(&mut self, domain: &str, count: u32, refused: bool, now: Instant) {
        if let Some(pool) = self.pools.get_mut(domain) {
            pool.spawning = pool.spawning.saturating_sub(count);
            if refused {
                pool.damper.died(Duration::ZERO, now);
            }
        }
    }

    fn ended(&mut self, id: i64, exit: Option<Exit>, last_words: &str, now: Instant) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let left = match &worker.doing {
            Doing::Leaving(reason) => Some(reason.as_str()),
            _ => None,
        };
        let mut closing = Closing::of(worker.sentence, left, exit, last_words);
        if let (Some(Sentence::Drained), Some(drain)) = (worker.sentence, &self.drain) {
            closing.reason = drain.why();
        }
        let failed = closing.sweep && !worker.is_orphan();
        let unasked = failed && matches!(worker.sentence, None | Some(Sentence::StartTimeout));
        if unasked {
            tracing::warn!("worker {id} died: {}", closing.reason);
        } else {
            tracing::info!("worker {id} ended: {}", closing.reason);
        }
        if let Some(pool) = self.pools.get_mut(&worker.domain).filter(|_| unasked) {
            pool.damper.died(now.duration_since(worker.born), now);
        }
        self.closing.insert(id);
        self.dead.insert(id, now);
        self.actions.push(Action::Close { worker: id, closing });
        self.actions.push(Action::Look);
    }

    fn serves(&mut self, domains: Vec<String>) {
        for domain in domains {
            if let Entry::Vacant(place) = self.pools.entry(domain) {
                tracing::info!("domain {} is served from now on", place.key());
                place.insert(Pool::default());
                self.actions.push(Action::Look);
            }
        }
    }

    fn starting(&self) -> impl Iterator<Item = (i64, &Worker)> {
        let all = self.workers.iter().map(|(id, worker)| (*id, worker));
        all.filter(|(_, worker)| worker.doing == Doing::Starting && worker.sentence.is_none())
    }

    fn late_starters(&self, now: Instant) -> impl Iterator<Item = (i64, &Worker)> {
        let timeout = self.start_timeout;
        self.starting().filter(move |(_, worker)| now.duration_since(worker.born) >= timeout)
    }

    /// What a worker says of itself.
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
