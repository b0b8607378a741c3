//! The death of a worker: what is logged and cleaned up, and whether that slows down the start of the
//! next ones.

use std::time::{Duration, Instant};

use rework_process::Exit;

use crate::{
    cleanup_plan::{CleanupPlan, Sentence},
    event::Action,
    state::{State, worker::Doing},
};

/// A claim that a worker sent before it died is committed within this time, or never.
const LATE_CLAIM: Duration = Duration::from_secs(60);

impl State {
    /// The process of a worker has ended.
    pub(super) fn worker_died(
        &mut self,
        id: i64,
        exit: Option<Exit>,
        last_words: &str,
        now: Instant,
    ) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let left = match &worker.doing {
            Doing::Leaving(reason) => Some(reason.as_str()),
            _ => None,
        };
        let mut plan = CleanupPlan::of(worker.sentence, left, exit, last_words);
        if let (Some(Sentence::Drained), Some(drain)) = (worker.sentence, &self.drain) {
            plan.reason = drain.why();
        }
        let failed = plan.sweep && !worker.is_orphan();
        let unasked = failed && matches!(worker.sentence, None | Some(Sentence::StartTimeout));
        if unasked {
            tracing::warn!("worker {id} died: {}", plan.reason);
        } else {
            tracing::info!("worker {id} ended: {}", plan.reason);
        }
        if let Some(pool) = self.pools.get_mut(&worker.domain).filter(|_| unasked) {
            pool.restart_backoff.died(now.duration_since(worker.born), now);
        }
        self.being_cleaned.insert(id);
        self.dead.insert(id, now);
        self.actions.push(Action::CleanUp { worker: id, plan });
        self.actions.push(Action::Poll);
    }

    /// Forgets the workers of which no late claim can appear any more.
    pub(super) fn forget_dead(&mut self, now: Instant) {
        self.dead.retain(|_, since| now.duration_since(*since) < LATE_CLAIM);
    }
}
