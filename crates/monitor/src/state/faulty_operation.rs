//! An operation that this host could not start: which workers may try it, and when more of them may.

use std::time::{Duration, Instant};

use crate::state::start_backoff::StartBackoff;

/// How long one worker alone tries an operation. It is longer than a check of the operation may take
/// (`CHECK_TIMEOUT` of the worker). A check that hangs so keeps one worker from its work, not all of them.
const TRIAL_TIME: Duration = Duration::from_secs(10);

/// An operation that this host could not start.
#[derive(Debug)]
pub(super) struct FaultyOperation {
    pub(super) domain: String,
    pub(super) name: String,
    pub(super) backoff: StartBackoff,
    pub(super) access: Access,
}

/// The workers that may claim tasks of an operation that this host could not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// No worker.
    Blocked,
    /// One worker, until this time.
    Trial { worker: i64, until: Instant },
    /// All workers. One trial ended without a result, or no worker was idle for it.
    Open,
}

impl Access {
    pub(super) fn is_allowed_for(self, worker: i64) -> bool {
        match self {
            Access::Blocked => false,
            Access::Trial { worker: tried_by, .. } => tried_by == worker,
            Access::Open => true,
        }
    }
}

impl FaultyOperation {
    /// Lets the worker `idle` try the operation and returns it. `None` if all workers may try it now, because none is
    /// idle or one has tried it before.
    pub(super) fn allow_more(&mut self, idle: Option<i64>, now: Instant) -> Option<i64> {
        let worker = idle.filter(|_| self.access == Access::Blocked);
        self.access =
            worker.map_or(Access::Open, |worker| Access::Trial { worker, until: now + TRIAL_TIME });
        worker
    }

    /// Returns when more workers may try the operation. `None` if all may.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.access {
            Access::Blocked => self.backoff.next_attempt(),
            Access::Trial { until, .. } => Some(until),
            Access::Open => None,
        }
    }

    /// Returns whether more workers may try the operation now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match self.access {
            Access::Blocked => self.backoff.allows(now),
            Access::Trial { until, .. } => until <= now,
            Access::Open => false,
        }
    }
}
