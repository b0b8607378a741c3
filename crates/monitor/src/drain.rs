//! Draining: how a monitor ends. Nothing new is claimed; what runs gets the grace, then it is
//! aborted; who has not left some time later is killed. Each further signal means: the next step,
//! now.

use std::{
    iter,
    time::{Duration, Instant},
};

use crate::{
    closing::{MONITOR_EXIT, Sentence, signal_words},
    event::{Action, Finish},
    state::State,
    worker::{Doing, Worker},
};

/// From the abort of what runs to the killing of who has not left: more than the usual grace of an
/// operation, and not much, since who stops a machine does not wait long either.
const ABORT_PATIENCE: Duration = Duration::from_secs(10);

/// From the killing to leaving, recorded or not: the host's next monitor records what is left.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is said what is waited for.
const WORD: Duration = Duration::from_secs(5);

/// A monitor that is to end.
#[derive(Debug)]
pub(crate) struct Drain {
    finish: Finish,
    phase: Phase,
    /// When the next phase begins; none: not by itself.
    until: Option<Instant>,
    next_word: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// What runs may finish.
    Grace,
    /// What runs is aborted.
    Abort,
    /// Who is left is killed.
    Kill,
}

impl Drain {
    /// Whatever a worker has is to be aborted.
    pub(crate) fn aborts(&self) -> bool {
        self.phase == Phase::Abort
    }

    /// Why the workers leave.
    pub(crate) fn why(&self) -> String {
        match self.finish {
            Finish::Asked(signal) => format!("{MONITOR_EXIT}: {}", signal_words(signal)),
            Finish::LeaseLost => format!("{MONITOR_EXIT}: its lease was taken away"),
        }
    }
}

impl State {
    /// Somebody wants the monitor to end.
    pub(crate) fn signalled(&mut self, signal: i32, now: Instant) {
        if self.drain.is_some() {
            tracing::info!("{} again: no more waiting", signal_words(signal));
            self.next_phase(now);
            return;
        }
        let drain = Drain {
            finish: Finish::Asked(signal),
            phase: Phase::Grace,
            until: self.grace.map(|grace| now + grace),
            next_word: now,
        };
        let why = drain.why();
        self.drain = Some(drain);
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.retire(id, &why);
        }
        self.drain_on_time(now);
    }

    /// Others took this monitor for dead: its runs are theirs.
    pub(crate) fn lease_lost(&mut self, now: Instant) {
        if matches!(&self.drain, Some(Drain { finish: Finish::LeaseLost, .. })) {
            return;
        }
        tracing::error!("the lease was taken away: all workers are killed");
        let until = Some(now + RECORD_PATIENCE);
        let (finish, phase) = (Finish::LeaseLost, Phase::Kill);
        self.drain = Some(Drain { finish, phase, until, next_word: now + RECORD_PATIENCE });
        self.kill_all(Sentence::LeaseLost);
    }

    /// A worker was born that is not needed any more.
    pub(crate) fn drain_newborn(&mut self, id: i64) {
        match &self.drain {
            Some(drain) if drain.finish == Finish::LeaseLost => self.kill(id, Sentence::LeaseLost),
            Some(drain) if drain.phase == Phase::Kill => self.kill(id, Sentence::Drained),
            Some(drain) => {
                let why = drain.why();
                self.retire(id, &why);
            }
            None => {}
        }
    }

    /// When the drain has something to do by itself.
    pub(crate) fn drain_deadline(&self) -> impl Iterator<Item = Instant> {
        let drain = self.drain.iter();
        drain.flat_map(|drain| drain.until.into_iter().chain(iter::once(drain.next_word)))
    }

    /// Goes on with the drain.
    pub(crate) fn drain_on_time(&mut self, now: Instant) {
        let Some(drain) = &self.drain else { return };
        if self.is_drained() {
            self.actions.push(Action::Finish(drain.finish.clone()));
        } else if drain.until.is_some_and(|until| until <= now) {
            self.next_phase(now);
        } else if drain.next_word <= now {
            self.say_what_is_waited_for(now);
        }
    }

    fn next_phase(&mut self, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        match drain.phase {
            Phase::Grace => {
                drain.phase = Phase::Abort;
                drain.until = Some(now + ABORT_PATIENCE);
                self.actions.push(Action::Look);
            }
            Phase::Abort => {
                drain.phase = Phase::Kill;
                drain.until = Some(now + RECORD_PATIENCE);
                self.kill_all(Sentence::Drained);
            }
            Phase::Kill => {
                let finish = drain.finish.clone();
                let left = self.workers.len() + self.closing.len();
                tracing::error!("the ends of {left} workers are left for the next monitor");
                self.actions.push(Action::Finish(finish));
            }
        }
    }

    fn kill_all(&mut self, why: Sentence) {
        let ours = self.workers.iter().filter(|(_, worker)| !worker.orphan);
        for id in ours.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.kill(id, why);
        }
    }

    /// The workers of earlier monitors need none: they are left alone.
    fn is_drained(&self) -> bool {
        self.workers.values().all(|worker| worker.orphan)
            && self.closing.is_empty()
            && self.pools.values().all(|pool| pool.spawning == 0)
    }

    fn say_what_is_waited_for(&mut self, now: Instant) {
        let busy = |worker: &&Worker| worker.doing == Doing::Busy && !worker.orphan;
        let tasks = self.workers.values().filter(busy).count();
        let Some(drain) = &mut self.drain else { return };
        drain.next_word = now + WORD;
        let left = drain.until.map(|until| until.saturating_duration_since(now).as_secs());
        let left = left.map_or("no limit".to_owned(), |seconds| format!("{seconds} s"));
        let plural = if tasks == 1 { "" } else { "s" };
        if tasks > 0 {
            tracing::info!("draining: {tasks} task{plural} running, {left}");
        }
    }
}

#[cfg(test)]
mod tests;
