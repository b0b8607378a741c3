//! Draining: how a monitor ends. Nothing new is claimed; what runs gets the grace, then it is
//! aborted; who has not left some time later is killed. Workers of earlier monitors cannot be told
//! to abort: they are killed when the grace is over. A second signal kills everybody at once, and
//! the monitor leaves as soon as that is recorded, or cannot be; a third one ends it on the spot.

use std::{
    iter,
    time::{Duration, Instant},
};

use crate::{
    closing::{MONITOR_EXIT, Sentence, signal_words},
    event::{Action, Finish, RELOAD},
    state::State,
    worker::{Doing, Worker},
};

/// From the abort of what runs to the killing of who has not left: more than the usual grace of an
/// operation, and not much, since who stops a machine does not wait long either.
const ABORT_PATIENCE: Duration = Duration::from_secs(10);

/// From the killing to leaving, recorded or not: the host's next monitor records what is left.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);

/// From the second signal to leaving, when the database does not answer.
const HURRY: Duration = Duration::from_secs(1);

/// And from an answer: looks are a second apart, and what answers can record too.
const HEARD: Duration = Duration::from_secs(2);

/// How long a reload waits for ends that are being recorded; the next monitor records the others.
const RELOAD_PATIENCE: Duration = Duration::from_secs(5);

/// How often it is said what is waited for.
const WORD: Duration = Duration::from_secs(5);

/// A monitor that is to end.
#[derive(Debug)]
pub(crate) struct Drain {
    finish: Finish,
    /// Somebody asked for the end of the monitor, whatever else befell it.
    ends: bool,
    phase: Phase,
    /// When the next phase begins; none: not by itself.
    until: Option<Instant>,
    next_word: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// What runs goes on without this monitor, until the next one has taken its place.
    Reload,
    /// What runs may finish.
    Grace,
    /// What runs is aborted.
    Abort,
    /// Who is left is killed.
    Kill,
    /// The same, because of a second signal; whatever answers, it is over at this moment.
    Now { latest: Instant },
}

impl Drain {
    /// Whatever a worker has is to be aborted.
    pub(crate) fn aborts(&self) -> bool {
        self.phase == Phase::Abort
    }

    /// Somebody asked twice.
    pub(crate) fn hurries(&self) -> bool {
        matches!(self.phase, Phase::Now { .. })
    }

    /// Whether a monitor of the same options is to take this one's place at once.
    pub(crate) fn leads_back(&self) -> bool {
        !self.ends
    }

    /// Nothing lives by the monitor's lease any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.finish, Finish::LeaseLost | Finish::LeaseOver)
    }

    /// It ends only when this worker has ended.
    fn awaits(&self, worker: &Worker) -> bool {
        // What lives by a lease of its own goes on where that of the monitor is not certain any more.
        self.phase != Phase::Reload && !(worker.alone && self.is_over())
    }

    fn sentence(&self) -> Sentence {
        match self.finish {
            Finish::Asked(_) => Sentence::Drained,
            Finish::LeaseLost => Sentence::LeaseLost,
            Finish::LeaseOver => Sentence::LeaseOver,
        }
    }

    /// Why the workers leave.
    pub(crate) fn why(&self) -> String {
        match self.finish {
            Finish::Asked(signal) => format!("{MONITOR_EXIT}: {}", signal_words(signal)),
            Finish::LeaseLost => format!("{MONITOR_EXIT}: its lease was taken away"),
            Finish::LeaseOver => format!("{MONITOR_EXIT}: its lease was over"),
        }
    }
}

impl State {
    /// Somebody wants the monitor to end.
    pub(crate) fn signalled(&mut self, signal: i32, now: Instant) {
        if signal == RELOAD && self.drain.is_some() {
            tracing::info!("{}, while the monitor ends: nothing to be done", signal_words(signal));
            return;
        }
        // Who reloads is not ending yet.
        self.drain.take_if(|drain| drain.phase == Phase::Reload);
        if let Some(drain) = &mut self.drain {
            tracing::info!("{} again: no more waiting", signal_words(signal));
            drain.ends = true;
            if drain.hurries() {
                self.give_up();
                return;
            }
            drain.phase = Phase::Now { latest: now + RECORD_PATIENCE };
            drain.until = Some(now + HURRY);
            self.kill_all();
            // The answer tells whether the database can still record anything.
            self.actions.push(Action::Look);
            return;
        }
        if signal == RELOAD {
            let (finish, phase) = (Finish::Asked(signal), Phase::Reload);
            self.drain = Some(Drain {
                finish,
                ends: false,
                phase,
                until: Some(now + RELOAD_PATIENCE),
                next_word: now + WORD,
            });
            self.drain_on_time(now);
            return;
        }
        let drain = Drain {
            finish: Finish::Asked(signal),
            ends: true,
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
        if self.is_over() {
            return;
        }
        tracing::error!("the lease was taken away: all workers are killed");
        self.actions.push(Action::Arm(None));
        self.lose(Finish::LeaseLost, now);
    }

    /// Kills all that lives by the lease, and leaves.
    pub(crate) fn lose(&mut self, finish: Finish, now: Instant) {
        let before = self.drain.take();
        let ends = before.as_ref().is_some_and(|drain| drain.ends);
        let (phase, until) = match before.filter(Drain::hurries) {
            Some(drain) => (drain.phase, drain.until),
            None => (Phase::Kill, Some(now + RECORD_PATIENCE)),
        };
        let next_word = now + RECORD_PATIENCE;
        self.drain = Some(Drain { finish, ends, phase, until, next_word });
        self.kill_all();
    }

    /// A worker was born that is not needed any more.
    pub(crate) fn drain_newborn(&mut self, id: i64) {
        match &self.drain {
            Some(drain) if matches!(drain.phase, Phase::Grace | Phase::Abort) => {
                let why = drain.why();
                self.retire(id, &why);
            }
            // It never hears what it needs to begin, or finishes its task alone.
            Some(drain) if drain.phase == Phase::Reload => {}
            Some(drain) => self.kill(id, drain.sentence()),
            None => {}
        }
    }

    /// The database has answered.
    pub(crate) fn drain_heard(&mut self, now: Instant) {
        if let Some(drain) = &mut self.drain
            && let Phase::Now { latest } = drain.phase
        {
            drain.until = drain.until.max(Some(latest.min(now + HEARD)));
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
                self.kill_awaited(Worker::is_orphan);
                self.actions.push(Action::Look);
            }
            Phase::Abort => {
                drain.phase = Phase::Kill;
                drain.until = Some(now + RECORD_PATIENCE);
                self.kill_all();
            }
            Phase::Reload | Phase::Kill | Phase::Now { .. } => self.give_up(),
        }
    }

    /// Leaves, whatever is not recorded.
    fn give_up(&mut self) {
        let Some(drain) = &self.drain else { return };
        let left = self.awaited().count() + self.closing.len();
        tracing::error!("the ends of {left} workers are left for the next monitor");
        self.actions.push(Action::Finish(drain.finish.clone()));
    }

    fn kill_all(&mut self) {
        self.kill_awaited(|_| true);
    }

    fn kill_awaited(&mut self, which: impl Fn(&Worker) -> bool) {
        let Some(why) = self.drain.as_ref().map(Drain::sentence) else { return };
        let doomed = self.awaited().filter(|(_, worker)| which(worker));
        for id in doomed.map(|(id, _)| id).collect::<Vec<_>>() {
            self.kill(id, why);
        }
    }

    /// The workers whose end the drain waits for.
    fn awaited(&self) -> impl Iterator<Item = (i64, &Worker)> {
        self.drain.iter().flat_map(|drain| {
            let all = self.workers.iter().map(|(id, worker)| (*id, worker));
            all.filter(|(_, worker)| drain.awaits(worker))
        })
    }

    fn is_drained(&self) -> bool {
        self.awaited().next().is_none()
            && self.closing.is_empty()
            && self.pools.values().all(|pool| pool.spawning == 0)
    }

    fn say_what_is_waited_for(&mut self, now: Instant) {
        let tasks = self.awaited().filter(|(_, worker)| worker.doing == Doing::Busy).count();
        let ends = self.closing.len();
        let Some(drain) = &mut self.drain else { return };
        drain.next_word = now + WORD;
        let left = drain.until.map(|until| until.saturating_duration_since(now).as_secs());
        let left = left.map_or("no limit".to_owned(), |seconds| format!("{seconds} s"));
        let plural = if tasks == 1 { "" } else { "s" };
        if tasks > 0 {
            tracing::info!("draining: {tasks} task{plural} running, {left}");
        } else if ends > 0 {
            tracing::info!("draining: the ends of {ends} workers are to be recorded, {left}");
        }
    }
}

#[cfg(test)]
mod tests;
