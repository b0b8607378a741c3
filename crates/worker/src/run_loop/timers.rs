//! The timers of the run loop: timeouts and grace periods of runs (`timeout.rs`), the flush of their logs with the
//! lines that are unfinished, and the measurement of memory (`out_of_memory.rs`).

use std::time::Duration;

use rework_core::task::progress::NewLogLine;
use rework_wire::operation::Limits;
use tokio::time::Instant;

use super::{RunLoop, availability::OpenCheck};
use crate::{batch_size::LONG_RUN, ending::RunnerEnd};

/// The pause between two measurements of the memory of a runner with a memory limit.
const MEMORY_SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// How often a runner that receives run after run is checked against `--maxmem`.
const SIZE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a runner may live after it has closed its socket. A normal exit takes less.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time that the loop sleeps. An arbitrary value, since events wake it.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// The times at which the loop has something to do that does not belong to one run.
#[derive(Debug)]
pub(super) struct Timers {
    /// When memory is measured next; `None` without a limit.
    sample_at: Option<Instant>,
    /// When the size of the runner is checked next.
    size_check_at: Instant,
    /// When the runner must have exited, after it has closed its socket; `None` if the socket is open.
    exit_by: Option<Instant>,
    /// The earliest time of the next claim that fills free room.
    claim_at: Instant,
    /// When to check again whether a paused run may still start (`give_back.rs`); `None` if none may.
    pub(super) pauses_check_at: Option<Instant>,
}

impl Timers {
    pub(super) fn new(limits: &Limits) -> Timers {
        let now = Instant::now();
        Timers {
            sample_at: limits.memory_bytes.map(|_| now + MEMORY_SAMPLE_INTERVAL),
            size_check_at: now + SIZE_CHECK_INTERVAL,
            exit_by: None,
            claim_at: now,
            pauses_check_at: None,
        }
    }

    /// Allows a claim at once, because a run has ended or a task may be ready.
    pub(super) fn claim_now(&mut self) {
        self.claim_at = Instant::now();
    }

    /// Delays the next claim, because the last one found nothing.
    pub(super) fn claim_after(&mut self, pause: Duration) {
        self.claim_at = Instant::now() + pause;
    }

    pub(super) fn may_claim(&self) -> bool {
        self.claim_at <= Instant::now()
    }

    /// Sets the time by which the runner must have exited. `last_grace` is when the last grace
    /// period of its runs ends; `None` if none of them was ordered to stop. Runs that were ordered
    /// to stop keep their grace period.
    pub(super) fn expect_exit(&mut self, last_grace: Option<Instant>) {
        let exit_by = Instant::now() + EXIT_TIMEOUT;
        self.exit_by = Some(last_grace.map_or(exit_by, |grace| grace.max(exit_by)));
    }
}

pub(super) fn is_due(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| at <= now)
}

impl RunLoop<'_> {
    /// Returns when the loop must act next, if no event comes before.
    pub(super) fn next_timer(&self) -> Instant {
        let now = Instant::now();
        let limits = &self.operation.definition.limits;
        let Timers { sample_at, size_check_at, exit_by, claim_at, pauses_check_at } = self.timers;
        // A full recorder has no event that reports free room, so it is checked again after a pause.
        let full = self.context.recorder.is_full().then_some(now + MEMORY_SAMPLE_INTERVAL);
        let of_runs = self.open.iter().filter_map(|run| run.timer(limits));
        let others = [
            sample_at,
            (self.room() > 0).then_some(size_check_at),
            self.wants_claim().then_some(claim_at),
            exit_by,
            pauses_check_at,
            self.polling.poll_at,
            self.runner.piece_due_at(),
            full,
            self.open_check.as_ref().map(OpenCheck::answer_by),
        ];
        of_runs.chain(others.into_iter().flatten()).fold(now + MAX_SLEEP, Instant::min)
    }

    /// Does everything that is due. Returns the reason if the runner cannot be used any more,
    /// otherwise `None`.
    pub(super) fn on_timer(&mut self) -> Option<RunnerEnd> {
        if is_due(self.polling.poll_at, Instant::now())
            && let Some(end) = self.poll()
        {
            return Some(end);
        }
        let now = Instant::now();
        if let Some(end) = self.enforce_time_limits(now) {
            return Some(end);
        }
        if is_due(self.timers.exit_by, now) {
            return Some(RunnerEnd::SocketClosed);
        }
        self.check_size(now);
        self.end_late_check(now);
        self.flush_pieces(now);
        for run in &mut self.open {
            if !run.is_long && now >= run.started_at + LONG_RUN {
                run.is_long = true;
                self.context.recorder.record_start(
                    run.fence(),
                    run.started_at,
                    self.revision.clone(),
                );
            }
            if run.flush_is_due(now) {
                run.flush(&self.context.recorder);
            }
        }
        if is_due(self.timers.sample_at, now) {
            self.timers.sample_at = Some(now + MEMORY_SAMPLE_INTERVAL);
            return self.check_memory();
        }
        None
    }

    /// Logs the unfinished lines that have waited long enough, so that a reader sees them.
    fn flush_pieces(&mut self, now: Instant) {
        // If the last run has just ended, `drain_last` ends its lines.
        if self.open.is_empty() || !is_due(self.runner.piece_due_at(), now) {
            return;
        }
        let runner = &mut self.runner;
        let push = |lines: &mut Vec<NewLogLine>| runner.push_pieces(now, lines);
        super::log_lines(self.concurrency, &mut self.open, push);
        let recorder = &self.context.recorder;
        self.open.iter_mut().for_each(|run| run.flush(recorder));
    }

    /// Sends no more runs to a runner that has grown larger than `--maxmem`.
    fn check_size(&mut self, now: Instant) {
        if now >= self.timers.size_check_at {
            self.timers.size_check_at = now + SIZE_CHECK_INTERVAL;
            self.accepts_no_runs |= self.context.warm_runners.is_too_large(&self.runner);
        }
    }
}
