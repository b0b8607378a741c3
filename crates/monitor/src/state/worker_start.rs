//! The start of a worker, and the timeout for it.

use std::time::{Duration, Instant};

use crate::{
    cleanup_plan::Sentence,
    state::{
        State,
        worker::{Doing, Origin, Worker},
    },
};

impl State {
    /// The process of a worker has been started.
    pub(super) fn born(&mut self, id: i64, domain: String, now: Instant) {
        if let Some(pool) = self.pools.get_mut(&domain) {
            pool.spawning = pool.spawning.saturating_sub(1);
        }
        self.workers.insert(id, Worker::new(domain, now, Origin::Ours));
        self.drain_newborn(id);
    }

    /// Workers of a domain could not be started.
    pub(super) fn unborn(&mut self, domain: &str, count: u32, refused: bool, now: Instant) {
        if let Some(pool) = self.pools.get_mut(domain) {
            pool.spawning = pool.spawning.saturating_sub(count);
            if refused {
                pool.restart_backoff.died(Duration::ZERO, now);
            }
        }
    }

    /// Kills the workers that have not come up within the start timeout.
    pub(super) fn kill_late_starters(&mut self, now: Instant) {
        let timeout = self.start_timeout;
        let late = self.starting().filter(|(_, worker)| now.duration_since(worker.born) >= timeout);
        for worker in late.map(|(worker, _)| worker).collect::<Vec<_>>() {
            tracing::warn!("worker {worker} did not come up within {timeout:?}");
            self.kill(worker, Sentence::StartTimeout);
        }
    }

    /// When the start timeouts of workers are over.
    pub(super) fn start_deadlines(&self) -> impl Iterator<Item = Instant> {
        self.starting().map(|(_, worker)| worker.born + self.start_timeout)
    }

    fn starting(&self) -> impl Iterator<Item = (i64, &Worker)> {
        let all = self.workers.iter().map(|(id, worker)| (*id, worker));
        all.filter(|(_, worker)| worker.doing == Doing::Starting && worker.sentence.is_none())
    }
}
