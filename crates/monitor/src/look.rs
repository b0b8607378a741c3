//! The look at the database, once a second and at every hint: what it asks, and what follows from
//! the answer.

use std::time::Instant;

use rework_core::fleet::heartbeat::{Abort, Answer, Asked, MOST_PROMOTED, Wish};
use rework_wire::worker::{AbortCause, ToWorker};

use crate::{
    closing::{DRAINED, Sentence},
    drain::Drain,
    event::{Action, Look},
    pool::{Load, Resize, resize},
    state::State,
    wants::Domains,
    worker::{Doing, Worker},
};

/// Why a worker leaves that was asked to, or that is not needed.
const SHUTDOWN: &str = "explicit shutdown";

/// What a look is about, as far as the state of the workers decides it.
#[derive(Debug, Default)]
pub(crate) struct Question {
    pub(crate) wants: Option<Vec<String>>,
    pub(crate) workers: Vec<i64>,
    pub(crate) dead: Vec<i64>,
    pub(crate) count: Vec<(String, i64)>,
    /// Every domain that is served.
    pub(crate) domains: Vec<String>,
    pub(crate) abort_all: bool,
    /// Those whose schedules are fired.
    pub(crate) fires: Vec<String>,
}

impl State {
    /// A look begins. The one of each second also withdraws what is not wanted any more, and
    /// counts what waits for idle workers, in case that a hint was lost.
    pub(crate) fn question(&mut self, standing: bool) -> Question {
        for worker in self.workers.values_mut() {
            worker.was_spare = worker.is_spare();
        }
        let mut count = Vec::new();
        let domains: Vec<String> = self.pools.keys().cloned().collect();
        for domain in &domains {
            let load = self.load(domain);
            let max = self.bounds.of(domain).max;
            let matters = (standing && self.has_free(domain)) || load.size < max;
            let counted = matters && self.drain.is_none();
            if let Some(pool) = self.pools.get_mut(domain) {
                pool.counted = counted;
            }
            if counted {
                count.push((domain.clone(), i64::from(max + load.spare)));
            }
        }
        let idle = if self.drain.is_none() { self.idle_domains() } else { Domains::default() };
        Question {
            wants: if standing { self.wants.tell(&idle) } else { None },
            workers: self.workers.keys().copied().collect(),
            dead: self.dead.keys().copied().filter(|id| !self.closing.contains(id)).collect(),
            count,
            fires: if self.drain.is_none() { domains.clone() } else { Vec::new() },
            domains,
            abort_all: self.drain.as_ref().is_some_and(Drain::aborts),
        }
    }

    /// A look is over.
    pub(crate) fn seen(&mut self, look: Look, now: Instant) {
        if look.told_wants {
            self.published(look.answer.is_some());
        }
        let held = self.seen_leases(&look);
        let Some(answer) = look.answer else { return };
        self.drain_heard(now);
        if !held {
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
            self.fit_pools(&answer, look.standing, now);
            if !answer.found.is_empty() {
                self.actions.push(Action::Take(answer.found));
            }
            if answer.fires {
                let domains = self.pools.keys().cloned().collect();
                self.actions.push(Action::Fire(domains));
            }
        }
        self.actions.extend(answer.stray.into_iter().map(Action::CloseAgain));
        if answer.promoted >= MOST_PROMOTED {
            self.actions.push(Action::Look);
        }
    }

    /// How many processes a domain has.
    pub(crate) fn size(&self, domain: &str) -> u32 {
        self.load(domain).size
    }

    /// Says something to every worker that can hear it.
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

    fn load(&self, domain: &str) -> Load {
        let spawning = self.pools.get(domain).map_or(0, |pool| pool.spawning);
        let mut load = Load { size: spawning, spare: spawning, idle: 0, waiting: 0 };
        for worker in self.workers.values().filter(|worker| worker.domain == domain) {
            load.size += 1;
            load.spare += u32::from(worker.was_spare);
            load.idle += u32::from(worker.is_idle());
        }
        load
    }

    /// Workers of earlier monitors look for the aborts of their tasks themselves.
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

    fn asked(&mut self, asked: &Asked) {
        match asked.asked {
            Wish::Shutdown => self.retire(asked.worker, SHUTDOWN),
            Wish::Kill => self.kill(asked.worker, Sentence::KillWorker),
        }
    }

    fn fit_pools(&mut self, answer: &Answer, standing: bool, now: Instant) {
        let counted = self.pools.iter().filter(|(_, pool)| pool.counted);
        let domains: Vec<String> = counted.map(|(domain, _)| domain.clone()).collect();
        for domain in domains {
            let found = answer.waiting.iter().find(|waiting| waiting.domain == domain);
            let waiting = found.map_or(0, |waiting| u32::try_from(waiting.tasks).unwrap_or(0));
            if waiting > 0 {
                self.wake_one(&domain);
            }
            let load = Load { waiting, ..self.load(&domain) };
            self.note_waiting(&domain, load, now);
            match resize(*self.bounds.of(&domain), load) {
                Resize::Grow(count) => self.grow(domain, count, now),
                Resize::Shrink if standing => self.shrink(&domain),
                Resize::Shrink | Resize::Keep => {}
            }
        }
    }

    /// Whether a worker of a domain could claim now.
    fn has_free(&self, domain: &str) -> bool {
        let mut ours = self.workers.values().filter(|worker| worker.domain == domain);
        ours.any(|worker| worker.doing != Doing::Busy)
    }

    fn note_waiting(&mut self, domain: &str, load: Load, now: Instant) {
        let may_grow = load.size < self.bounds.of(domain).max;
        let waits = load.waiting > 0 && (self.has_free(domain) || may_grow);
        if let Some(pool) = self.pools.get_mut(domain) {
            pool.waits_since = waits.then(|| pool.waits_since.unwrap_or(now));
        }
    }

    fn grow(&mut self, domain: String, count: u32, now: Instant) {
        if let Some(pool) = self.pools.get_mut(&domain).filter(|pool| pool.damper.lets(now)) {
            pool.spawning += count;
            self.actions.push(Action::Spawn { domain, count });
        }
    }

    fn shrink(&mut self, domain: &str) {
        let mut newest_first = self.workers.iter().rev();
        let idle = newest_first.find(|(_, worker)| worker.is_idle() && worker.domain == domain);
        if let Some(id) = idle.map(|(id, _)| *id) {
            tracing::info!("worker {id} is not needed and is to leave");
            self.retire(id, SHUTDOWN);
        }
    }
}
