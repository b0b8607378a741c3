//! The start of a worker, and its timeout.

use std::time::Instant;

use crate::{
    cleanup_plan::KillReason,
    state::{
        State,
        worker::{Activity, Origin, Worker},
    },
};

impl State {
    /// Adds a worker whose process was started.
    pub(super) fn worker_started(&mut self, id: i64, domain: String, now: Instant) {
        if let Some(pool) = self.pools.get_mut(&domain) {
            pool.spawning = pool.spawning.saturating_sub(1);
        }
        self.workers.insert(id, Worker::new(domain, now, Origin::Own));
        self.send_exclusions_to(id);
        self.pauses_reach(id);
        self.drain_started_worker(id);
    }

    /// Handles the failed start of `count` workers of a domain. `refusal` is the reason for which it was refused.
    /// `None` if the database is unavailable: that does not delay the next start.
    pub(super) fn spawn_failed(
        &mut self,
        domain: &str,
        count: u32,
        refusal: Option<&str>,
        now: Instant,
    ) {
        if let Some(pool) = self.pools.get_mut(domain) {
            pool.spawning = pool.spawning.saturating_sub(count);
            if let Some(reason) = refusal {
                pool.worker_starts.record_failure(reason, now);
            }
        }
    }

    /// Kills the workers that sent no message within the start timeout.
    pub(super) fn kill_start_timeouts(&mut self, now: Instant) {
        let timeout = self.start_timeout;
        let is_late = |worker: &Worker| now.duration_since(worker.started_at) >= timeout;
        let late = self.starting().filter(|(_, worker)| is_late(worker));
        for worker in late.map(|(worker, _)| worker).collect::<Vec<_>>() {
            tracing::warn!("worker {worker} did not start within {timeout:?}: it is killed");
            self.kill(worker, KillReason::StartTimeout);
        }
    }

    /// Returns the times at which the start timeouts end.
    pub(super) fn start_deadlines(&self) -> impl Iterator<Item = Instant> {
        self.starting().map(|(_, worker)| worker.started_at + self.start_timeout)
    }

    fn starting(&self) -> impl Iterator<Item = (i64, &Worker)> {
        let all = self.workers.iter().map(|(id, worker)| (*id, worker));
        all.filter(|(_, worker)| {
            worker.activity == Activity::Starting && worker.kill_reason.is_none()
        })
    }
}
