//! What is due at a certain time: the timeout of a run and the end of its grace (`timeout.rs`), a flush of its log, a
//! measurement of memory (`out_of_memory.rs`).

use std::time::Duration;

use rework_wire::operation::Limits;
use tokio::time::Instant;

use super::RunLoop;
use crate::{batch_size::LONG, ending::RunnerEnd};

/// The pause between two measurements of memory where it is limited.
const SAMPLE: Duration = Duration::from_millis(100);

/// A runner that is given run after run is looked over this often: it may have grown too large.
const LOOK_OVER: Duration = Duration::from_secs(1);

/// How long a runner may live after it closed its socket. A normal exit takes less.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);

/// Nothing else is due: the loop still looks around now and then.
const FAR: Duration = Duration::from_secs(3600);

/// When the loop has something to do that is not about one run.
#[derive(Debug)]
pub(super) struct Timers {
    /// When memory is measured next; `None` without a limit.
    sample_at: Option<Instant>,
    /// When the runner is looked over next.
    look_over_at: Instant,
    /// The runner has closed its socket and must have exited by then.
    exit_by: Option<Instant>,
    /// Not before this is a claim made to fill free room.
    claim_at: Instant,
}

impl Timers {
    pub(super) fn new(limits: &Limits) -> Timers {
        let now = Instant::now();
        Timers {
            sample_at: limits.memory_bytes.map(|_| now + SAMPLE),
            look_over_at: now + LOOK_OVER,
            exit_by: None,
            claim_at: now,
        }
    }

    /// There is room: a claim may find something at once.
    pub(super) fn claim_now(&mut self) {
        self.claim_at = Instant::now();
    }

    /// The last claim found nothing.
    pub(super) fn claim_after(&mut self, pause: Duration) {
        self.claim_at = Instant::now() + pause;
    }

    pub(super) fn may_claim(&self) -> bool {
        self.claim_at <= Instant::now()
    }

    /// The runner has closed its socket. Runs that were told to stop keep their grace.
    pub(super) fn exit_is_due(&mut self, last_grace: Option<Instant>) {
        let exit_by = Instant::now() + EXIT_FOLLOWS;
        self.exit_by = Some(last_grace.map_or(exit_by, |grace| grace.max(exit_by)));
    }
}

pub(super) fn is_due(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| at <= now)
}

impl RunLoop<'_> {
    /// When the loop must act next, whatever happens.
    pub(super) fn next_timer(&self) -> Instant {
        let now = Instant::now();
        let limits = &self.operation.definition.limits;
        let Timers { sample_at, look_over_at, exit_by, claim_at } = self.timers;
        let full = self.context.recorder.is_full().then_some(now + SAMPLE);
        let of_runs = self.open.iter().filter_map(|run| run.timer(limits));
        let others = [
            sample_at,
            (self.room() > 0).then_some(look_over_at),
            self.asks_for_more().then_some(claim_at),
            exit_by,
            self.polling.look_at,
            full,
        ];
        of_runs.chain(others.into_iter().flatten()).fold(now + FAR, Instant::min)
    }

    /// Does whatever is due.
    pub(super) fn on_time(&mut self) -> Option<RunnerEnd> {
        if is_due(self.polling.look_at, Instant::now())
            && let Some(end) = self.look()
        {
            return Some(end);
        }
        let now = Instant::now();
        if let Some(end) = self.stop_what_is_late(now) {
            return Some(end);
        }
        if is_due(self.timers.exit_by, now) {
            return Some(RunnerEnd::SocketClosed);
        }
        self.look_over(now);
        for run in &mut self.open {
            if !run.is_long && now >= run.began + LONG {
                run.is_long = true;
                self.context.recorder.begin(run.fence(), run.began, self.revision.clone());
            }
            if run.flush_is_due(now) {
                run.flush(&self.context.recorder);
            }
        }
        if is_due(self.timers.sample_at, now) {
            self.timers.sample_at = Some(now + SAMPLE);
            return self.watch_memory();
        }
        None
    }

    /// A runner that has grown past `--maxmem` is given no more runs.
    fn look_over(&mut self, now: Instant) {
        if now >= self.timers.look_over_at {
            self.timers.look_over_at = now + LOOK_OVER;
            self.closed |= self.context.runners.is_too_large(&self.runner);
        }
    }
}
