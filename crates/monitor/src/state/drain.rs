//! Draining: how a monitor ends after a signal.
//!
//! Workers claim no more tasks. Open runs may finish within the grace. Then they are aborted, and workers that have not
//! exited some time later are killed. Workers of earlier monitors receive no messages, so they are killed when the
//! grace ends.
//!
//! A second signal kills all workers at once. The monitor then exits as soon as their ends are recorded, or cannot be
//! recorded. A third signal ends the monitor immediately. SIGHUP is handled in `drain/reload.rs`.

use std::{
    iter,
    time::{Duration, Instant},
};

use crate::{
    cleanup_plan::{KillReason, MONITOR_EXIT, describe_signal},
    event::{Action, Finish},
    state::{
        State,
        worker::{Activity, Worker},
    },
};

pub(crate) mod reload;

/// The time from aborting the runs to killing the workers. It is longer than the default grace of an operation, but not
/// much longer, because a host that shuts down does not wait long either.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time from killing the workers to the exit of the monitor. The next monitor of the host records the ends that are
/// not recorded by then.
const RECORD_TIMEOUT: Duration = Duration::from_secs(10);

/// The time from the second signal to the exit of the monitor, if the database does not reply.
const NO_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// The time from a reply of the database to the exit of the monitor, after the second signal. A database that replies
/// can probably also record. Polls are a second apart, so each reply extends the time beyond the next one.
const REPLY_EXTENSION: Duration = Duration::from_secs(2);

/// The time between two log lines about the progress of a drain.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The end of a monitor, while it is in progress.
#[derive(Debug)]
pub(crate) struct Drain {
    finish: Finish,
    /// Whether a signal has requested the end of the monitor, rather than a reload.
    end_requested: bool,
    phase: Phase,
    /// The time at which the next phase starts. `None` if this phase has no time limit.
    phase_ends_at: Option<Instant>,
    /// The time of the next log line about the progress.
    next_progress: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The runs continue without this monitor. The next one adopts the workers.
    Reload,
    /// The runs may finish.
    Grace,
    /// The runs are aborted.
    Abort,
    /// The remaining workers are killed.
    Kill,
    /// The workers are killed because of a second signal. The monitor exits at `latest`, even if the database still
    /// replies.
    KillNow { latest: Instant },
}

impl Drain {
    /// Returns whether all runs are aborted now.
    pub(crate) fn aborts(&self) -> bool {
        self.phase == Phase::Abort
    }

    /// Returns whether a second signal has come.
    pub(crate) fn is_hurried(&self) -> bool {
        matches!(self.phase, Phase::KillNow { .. })
    }

    /// Returns whether the monitor ends because its lease has expired or was taken away.
    pub(crate) fn lease_ended(&self) -> bool {
        matches!(self.finish, Finish::LeaseLost | Finish::LeaseExpired | Finish::WentBack)
    }

    /// Returns whether the drain waits for the end of this worker.
    fn awaits(&self, worker: &Worker) -> bool {
        // A worker with a lease of its own continues after the monitor's lease has ended.
        self.phase != Phase::Reload && !(worker.has_own_lease && self.lease_ended())
    }

    fn kill_reason(&self) -> KillReason {
        match self.finish {
            Finish::Signal(_) => KillReason::Drained,
            Finish::LeaseLost => KillReason::LeaseLost,
            Finish::LeaseExpired => KillReason::LeaseExpired,
            Finish::WentBack => KillReason::WentBack,
        }
    }

    /// Returns the reason with which the workers exit.
    pub(crate) fn leave_reason(&self) -> String {
        match self.finish {
            Finish::Signal(signal) => format!("{MONITOR_EXIT}: {}", describe_signal(signal)),
            Finish::LeaseLost => format!("{MONITOR_EXIT}: its lease was taken away"),
            Finish::LeaseExpired => format!("{MONITOR_EXIT}: its lease has expired"),
            Finish::WentBack => {
                format!("{MONITOR_EXIT}: the database has lost its last transactions")
            }
        }
    }
}

impl State {
    /// Handles a signal.
    pub(super) fn signal_received(&mut self, signal: i32, now: Instant) {
        if signal == reload::SIGNAL {
            self.reload(now);
        } else if self.drain.as_ref().is_some_and(|drain| drain.phase != Phase::Reload) {
            self.signal_received_again(signal, now);
        } else {
            self.start_drain(signal, now);
        }
    }

    /// Starts to drain. Replaces a reload in progress.
    fn start_drain(&mut self, signal: i32, now: Instant) {
        let drain = Drain {
            finish: Finish::Signal(signal),
            end_requested: true,
            phase: Phase::Grace,
            phase_ends_at: self.grace.map(|grace| now + grace),
            next_progress: now,
        };
        let reason = drain.leave_reason();
        self.drain = Some(drain);
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.retire(id, &reason);
        }
        self.drain_on_time(now);
    }

    /// Handles a signal during the drain. Kills all workers, or ends the monitor if an earlier signal has killed them.
    fn signal_received_again(&mut self, signal: i32, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        tracing::info!("{} again: the monitor stops waiting", describe_signal(signal));
        drain.end_requested = true;
        if drain.is_hurried() {
            self.finish_with_unrecorded_ends();
            return;
        }
        drain.phase = Phase::KillNow { latest: now + RECORD_TIMEOUT };
        drain.phase_ends_at = Some(now + NO_REPLY_TIMEOUT);
        self.kill_all();
        // The reply shows whether the database can still record anything.
        self.actions.push(Action::PollNow);
    }

    /// Returns whether the lease of this monitor has expired or was taken away.
    pub(crate) fn lease_ended(&self) -> bool {
        self.drain.as_ref().is_some_and(Drain::lease_ended)
    }

    /// Kills all workers under the lease of this monitor, and ends the monitor.
    pub(super) fn end_without_lease(&mut self, finish: Finish, now: Instant) {
        let before = self.drain.take();
        let end_requested = before.as_ref().is_some_and(|drain| drain.end_requested);
        let (phase, phase_ends_at) = match before.filter(Drain::is_hurried) {
            Some(drain) => (drain.phase, drain.phase_ends_at),
            None => (Phase::Kill, Some(now + RECORD_TIMEOUT)),
        };
        let next_progress = now + RECORD_TIMEOUT;
        self.drain = Some(Drain { finish, end_requested, phase, phase_ends_at, next_progress });
        self.kill_all();
    }

    /// Ends a worker that was started while the monitor drains.
    pub(crate) fn drain_started_worker(&mut self, id: i64) {
        match &self.drain {
            Some(drain) if matches!(drain.phase, Phase::Grace | Phase::Abort) => {
                let reason = drain.leave_reason();
                self.retire(id, &reason);
            }
            // The worker finishes its task without this monitor. Or it never receives its first message, and exits.
            Some(drain) if drain.phase == Phase::Reload => {}
            Some(drain) => self.kill(id, drain.kill_reason()),
            None => {}
        }
    }

    /// Handles a reply of the database: after a second signal, it extends the time for recording.
    pub(crate) fn drain_reply_received(&mut self, now: Instant) {
        if let Some(drain) = &mut self.drain
            && let Phase::KillNow { latest } = drain.phase
        {
            let extended = latest.min(now + REPLY_EXTENSION);
            drain.phase_ends_at = drain.phase_ends_at.max(Some(extended));
        }
    }

    /// Returns the times at which [`State::drain_on_time`] has something to do.
    pub(crate) fn drain_deadline(&self) -> impl Iterator<Item = Instant> {
        let drain = self.drain.iter();
        drain.flat_map(|drain| {
            drain.phase_ends_at.into_iter().chain(iter::once(drain.next_progress))
        })
    }

    /// Continues the drain: ends the monitor if everything is done, starts the next phase if that is due, or logs the
    /// progress.
    pub(crate) fn drain_on_time(&mut self, now: Instant) {
        let Some(drain) = &self.drain else { return };
        if self.is_drained() {
            self.actions.push(Action::Finish(drain.finish.clone()));
        } else if drain.phase_ends_at.is_some_and(|end| end <= now) {
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
                drain.phase_ends_at = Some(now + ABORT_TIMEOUT);
                self.kill_awaited(Worker::is_orphan);
                // The poll returns all runs, so that they can be aborted.
                self.actions.push(Action::PollNow);
            }
            Phase::Abort => {
                drain.phase = Phase::Kill;
                drain.phase_ends_at = Some(now + RECORD_TIMEOUT);
                self.kill_all();
            }
            Phase::Reload | Phase::Kill | Phase::KillNow { .. } => {
                self.finish_with_unrecorded_ends();
            }
        }
    }

    /// Ends the monitor although some ends are not recorded.
    fn finish_with_unrecorded_ends(&mut self) {
        let Some(drain) = &self.drain else { return };
        let count = self.awaited().count() + self.cleaning_up.len();
        tracing::error!("the ends of {count} workers are not recorded: the next monitor does that");
        self.actions.push(Action::Finish(drain.finish.clone()));
    }

    fn kill_all(&mut self) {
        self.kill_awaited(|_| true);
    }

    fn kill_awaited(&mut self, filter: impl Fn(&Worker) -> bool) {
        let Some(reason) = self.drain.as_ref().map(Drain::kill_reason) else { return };
        let targets = self.awaited().filter(|(_, worker)| filter(worker));
        for id in targets.map(|(id, _)| id).collect::<Vec<_>>() {
            self.kill(id, reason);
        }
    }

    /// Returns the workers whose end the drain waits for.
    fn awaited(&self) -> impl Iterator<Item = (i64, &Worker)> {
        self.drain.iter().flat_map(|drain| {
            let all = self.workers.iter().map(|(id, worker)| (*id, worker));
            all.filter(|(_, worker)| drain.awaits(worker))
        })
    }

    fn is_drained(&self) -> bool {
        self.awaited().next().is_none()
            && self.cleaning_up.is_empty()
            && self.pools.values().all(|pool| pool.spawning == 0)
    }

    fn log_progress(&mut self, now: Instant) {
        let tasks = self.awaited().filter(|(_, worker)| worker.activity == Activity::Busy).count();
        let ends = self.cleaning_up.len();
        let Some(drain) = &mut self.drain else { return };
        drain.next_progress = now + PROGRESS_INTERVAL;
        let left = drain.phase_ends_at.map(|end| end.saturating_duration_since(now).as_secs());
        let limit = left.map_or("no time limit".to_owned(), |seconds| format!("{seconds} s left"));
        let plural = if tasks == 1 { "" } else { "s" };
        if tasks > 0 {
            tracing::info!("draining: {tasks} worker{plural} still busy, {limit}");
        } else if ends > 0 {
            tracing::info!("draining: the ends of {ends} workers are being recorded, {limit}");
        }
    }
}

#[cfg(test)]
mod tests;
