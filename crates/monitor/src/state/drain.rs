//! Draining: how a monitor ends when a signal asks for it. No more tasks are claimed. Runs that are
//! open may finish within the grace; then they are aborted, and workers that have not left some time
//! later are killed. Workers of earlier monitors cannot be told to abort: they are killed when the
//! grace is over. A second signal kills all workers at once, and the monitor leaves as soon as their
//! ends are recorded, or cannot be; a third one ends it on the spot.

use std::{
    iter,
    time::{Duration, Instant},
};

use crate::{
    cleanup_plan::{MONITOR_EXIT, Sentence, signal_words},
    event::{Action, Finish},
    state::{
        State,
        worker::{Doing, Worker},
    },
};

pub(crate) mod reload;

/// The time from aborting the runs to killing the workers: more than the usual grace of an operation,
/// and not much more, since a machine that shuts down does not wait long either.
const ABORT_PATIENCE: Duration = Duration::from_secs(10);

/// The time from killing the workers to leaving. The next monitor of the host records the ends that
/// are not recorded by then.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);

/// The time from the second signal to leaving, if the database does not answer.
const HURRY: Duration = Duration::from_secs(1);

/// The time from an answer of the database to leaving, after the second signal. Polls are a second
/// apart, and a database that answers can also record.
const HEARD: Duration = Duration::from_secs(2);

/// How often the log says what the drain waits for.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// The end of a monitor that is under way.
#[derive(Debug)]
pub(crate) struct Drain {
    finish: Finish,
    /// Whether a signal has asked the monitor to end, rather than to reload.
    ends: bool,
    phase: Phase,
    /// When the next phase begins; `None` if it does not begin by itself.
    until: Option<Instant>,
    next_progress: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Runs go on without this monitor, and the next one takes its place.
    Reload,
    /// Runs may finish.
    Grace,
    /// Runs are aborted.
    Abort,
    /// Workers that are left are killed.
    Kill,
    /// Workers are killed because of a second signal. The monitor leaves at `latest` at the latest.
    Now { latest: Instant },
}

impl Drain {
    /// Whether all runs are to be aborted.
    pub(crate) fn aborts(&self) -> bool {
        self.phase == Phase::Abort
    }

    /// Whether a second signal has come.
    pub(crate) fn hurries(&self) -> bool {
        matches!(self.phase, Phase::Now { .. })
    }

    /// Whether nothing lives by the monitor's lease any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.finish, Finish::LeaseLost | Finish::LeaseOver)
    }

    /// Whether the drain waits for the end of this worker.
    fn awaits(&self, worker: &Worker) -> bool {
        // A worker with a lease of its own goes on when that of the monitor is over.
        self.phase != Phase::Reload && !(worker.alone && self.is_over())
    }

    fn sentence(&self) -> Sentence {
        match self.finish {
            Finish::Asked(_) => Sentence::Drained,
            Finish::LeaseLost => Sentence::LeaseLost,
            Finish::LeaseOver => Sentence::LeaseOver,
        }
    }

    /// The reason for which the workers leave.
    pub(crate) fn why(&self) -> String {
        match self.finish {
            Finish::Asked(signal) => format!("{MONITOR_EXIT}: {}", signal_words(signal)),
            Finish::LeaseLost => format!("{MONITOR_EXIT}: its lease was taken away"),
            Finish::LeaseOver => format!("{MONITOR_EXIT}: its lease was over"),
        }
    }
}

impl State {
    /// The monitor received a signal.
    pub(super) fn signalled(&mut self, signal: i32, now: Instant) {
        if signal == reload::SIGNAL {
            self.reload(now);
        } else if self.drain.as_ref().is_some_and(|drain| drain.phase != Phase::Reload) {
            self.signalled_again(signal, now);
        } else {
            self.begin_drain(signal, now);
        }
    }

    /// Begins to drain; replaces a reload.
    fn begin_drain(&mut self, signal: i32, now: Instant) {
        let drain = Drain {
            finish: Finish::Asked(signal),
            ends: true,
            phase: Phase::Grace,
            until: self.grace.map(|grace| now + grace),
            next_progress: now,
        };
        let why = drain.why();
        self.drain = Some(drain);
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.retire(id, &why);
        }
        self.drain_on_time(now);
    }

    /// A signal came while the monitor ends: kills all workers at once, or leaves at once if an earlier
    /// signal has done that.
    fn signalled_again(&mut self, signal: i32, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
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
        self.actions.push(Action::Poll);
    }

    /// Whether nothing lives by the lease of this monitor any more.
    pub(crate) fn is_over(&self) -> bool {
        self.drain.as_ref().is_some_and(Drain::is_over)
    }

    /// Kills all workers that live by the lease, and leaves.
    pub(super) fn lose(&mut self, finish: Finish, now: Instant) {
        let before = self.drain.take();
        let ends = before.as_ref().is_some_and(|drain| drain.ends);
        let (phase, until) = match before.filter(Drain::hurries) {
            Some(drain) => (drain.phase, drain.until),
            None => (Phase::Kill, Some(now + RECORD_PATIENCE)),
        };
        let next_progress = now + RECORD_PATIENCE;
        self.drain = Some(Drain { finish, ends, phase, until, next_progress });
        self.kill_all();
    }

    /// Ends a worker that was started while the monitor drains.
    pub(crate) fn drain_newborn(&mut self, id: i64) {
        match &self.drain {
            Some(drain) if matches!(drain.phase, Phase::Grace | Phase::Abort) => {
                let why = drain.why();
                self.retire(id, &why);
            }
            // It never receives what it needs to begin, or finishes its task alone.
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

    /// The moments when the drain has something to do by itself.
    pub(crate) fn drain_deadline(&self) -> impl Iterator<Item = Instant> {
        let drain = self.drain.iter();
        drain.flat_map(|drain| drain.until.into_iter().chain(iter::once(drain.next_progress)))
    }

    /// Goes on with the drain if its time has come.
    pub(crate) fn drain_on_time(&mut self, now: Instant) {
        let Some(drain) = &self.drain else { return };
        if self.is_drained() {
            self.actions.push(Action::Finish(drain.finish.clone()));
        } else if drain.until.is_some_and(|until| until <= now) {
            self.next_phase(now);
        } else if drain.next_progress <= now {
            self.log_progress(now);
        }
    }

    fn next_phase(&mut self, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        match drain.phase {
            Phase::Grace => {
                drain.phase = Phase::Abort;
                drain.until = Some(now + ABORT_PATIENCE);
                self.kill_awaited(Worker::is_orphan);
                self.actions.push(Action::Poll);
            }
            Phase::Abort => {
                drain.phase = Phase::Kill;
                drain.until = Some(now + RECORD_PATIENCE);
                self.kill_all();
            }
            Phase::Reload | Phase::Kill | Phase::Now { .. } => self.give_up(),
        }
    }

    /// Leaves, even if some ends are not recorded.
    fn give_up(&mut self) {
        let Some(drain) = &self.drain else { return };
        let left = self.awaited().count() + self.being_cleaned.len();
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
            && self.being_cleaned.is_empty()
            && self.pools.values().all(|pool| pool.spawning == 0)
    }

    fn log_progress(&mut self, now: Instant) {
        let tasks = self.awaited().filter(|(_, worker)| worker.doing == Doing::Busy).count();
        let ends = self.being_cleaned.len();
        let Some(drain) = &mut self.drain else { return };
        drain.next_progress = now + PROGRESS_EVERY;
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
