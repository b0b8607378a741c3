//! The death of a worker: what is logged and cleaned up, and whether it delays the start of the next workers.

use std::time::{Duration, Instant};

use rework_process::Exit;

use crate::{
    cleanup_plan::{CleanupPlan, KillReason},
    event::Action,
    state::{State, start_faults::MIN_UPTIME, worker::Activity},
};

/// The time after a worker's death within which a claim that it had sent may still be committed. A claim needs much
/// less, so later ones are not expected.
const LATE_CLAIM: Duration = Duration::from_secs(60);

impl State {
    /// Handles the end of a worker's process.
    pub(super) fn worker_died(
        &mut self,
        id: i64,
        exit: Option<Exit>,
        output_tail: &str,
        now: Instant,
    ) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let leave_reason = match &worker.activity {
            Activity::Leaving(reason) => Some(reason.as_str()),
            _ => None,
        };
        let mut plan = CleanupPlan::of(worker.kill_reason, leave_reason, exit, output_tail);
        if let (Some(KillReason::Drained), Some(drain)) = (worker.kill_reason, &self.drain) {
            plan.reason = drain.leave_reason();
        }
        let failed = plan.sweep && !worker.is_orphan();
        let is_unexpected =
            failed && matches!(worker.kill_reason, None | Some(KillReason::StartTimeout));
        if is_unexpected {
            tracing::warn!("worker {id} died: {}", plan.reason);
        } else {
            tracing::info!("worker {id} ended: {}", plan.reason);
        }
        let has_lived = now.duration_since(worker.started_at) > MIN_UPTIME;
        if let Some(pool) = self.pools.get_mut(&worker.domain).filter(|_| is_unexpected) {
            if has_lived {
                pool.worker_starts.record_success();
            } else {
                pool.worker_starts.record_failure(&plan.reason, now);
            }
        }
        self.cleaning_up.insert(id);
        self.recently_dead.insert(id, now);
        self.actions.push(Action::CleanUp { worker: id, plan });
        // The poll decides whether a replacement is started.
        self.actions.push(Action::PollNow);
    }

    /// Forgets the dead workers whose late claims are no longer possible.
    pub(super) fn forget_dead(&mut self, now: Instant) {
        self.recently_dead.retain(|_, since| now.duration_since(*since) < LATE_CLAIM);
    }
}
