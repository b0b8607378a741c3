//! The size of a worker pool: how many workers a domain needs, decided from the number of ready tasks.

use std::{collections::btree_map::Entry, time::Instant};

use rework_core::fleet::monitor_poll::PollReply;

use crate::{
    event::Action,
    state::{State, start_backoff::StartBackoff, worker::Activity},
};

/// The reason of a worker that exits because a user requested it, or because it is not needed.
pub(super) const SHUTDOWN: &str = "explicit shutdown";

/// The lowest and the highest number of workers of a domain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// The workers of one domain.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// Whether a notification came when no worker was idle. The next idle worker is then woken.
    pub(crate) wake_pending: bool,
    /// The number of workers that are being started.
    pub(crate) spawning: u32,
    /// Whether the running poll counts the ready tasks of the domain.
    pub(crate) counted: bool,
    /// The failed starts of workers: they could not be started, or died soon after.
    pub(crate) worker_starts: StartBackoff,
    /// The failed starts of runs, for reasons that concern every operation.
    pub(crate) run_starts: StartBackoff,
    /// The time since which tasks wait although a worker is free or could be started. `None` if no task waits so.
    pub(crate) waits_since: Option<Instant>,
}

impl Pool {
    /// Returns whether workers may be started now.
    fn may_start(&self, now: Instant) -> bool {
        self.worker_starts.allows(now) && self.run_starts.allows(now)
    }
}

/// The numbers that decide the size of a pool.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// The number of workers, from the decision to start one to the end of its process. Includes workers that earlier
    /// monitors left behind.
    pub(crate) size: u32,
    /// The number of workers that can take a task: starting, claiming or idle.
    pub(crate) available: u32,
    /// The number of workers that found no task and wait.
    pub(crate) idle: u32,
    /// The number of ready tasks. Counting stops where more tasks cannot change the decision.
    pub(crate) waiting: u32,
}

/// The decision about the size of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// Start this number of workers.
    Grow(u32),
    /// Retire one idle worker.
    Shrink,
    /// Keep the pool as it is.
    Keep,
}

/// Decides how the size of a pool changes.
pub(crate) fn resize(bounds: Bounds, load: Load) -> Resize {
    let [min, max, size] = [bounds.min, bounds.max, load.size].map(i64::from);
    let short = i64::from(load.waiting) - i64::from(load.available);
    let needed = short.min(max - size).max(min - size);
    if needed > 0 {
        Resize::Grow(needed as u32)
    } else if load.waiting == 0 && load.idle > bounds.min {
        Resize::Shrink
    } else {
        Resize::Keep
    }
}

impl State {
    /// Returns the number of workers of a domain.
    pub(crate) fn size(&self, domain: &str) -> u32 {
        self.load(domain).size
    }

    /// Returns the load of a domain, with 0 ready tasks.
    pub(super) fn load(&self, domain: &str) -> Load {
        let spawning = self.pools.get(domain).map_or(0, |pool| pool.spawning);
        let mut load = Load { size: spawning, available: spawning, idle: 0, waiting: 0 };
        for worker in self.workers.values().filter(|worker| worker.domain == domain) {
            load.size += 1;
            load.available += u32::from(worker.was_available);
            load.idle += u32::from(worker.is_idle());
        }
        load
    }

    /// Starts and retires workers, according to the numbers of ready tasks in a reply. Pools shrink only at regular
    /// polls, so that they do so slowly.
    pub(super) fn resize_pools(&mut self, reply: &PollReply, regular: bool, now: Instant) {
        let counted = self.pools.iter().filter(|(_, pool)| pool.counted);
        let domains: Vec<String> = counted.map(|(domain, _)| domain.clone()).collect();
        for domain in domains {
            let queue = reply.waiting.iter().find(|queue| queue.domain == domain);
            let mut waiting = queue.map_or(0, |queue| u32::try_from(queue.tasks).unwrap_or(0));
            let load = self.load(&domain);
            if load.idle > 0 && self.has_blocked_operation(&domain) {
                // An idle worker claims every other task. So more workers could not run what waits.
                waiting = waiting.min(load.available);
            }
            if waiting > 0 {
                self.request_checks(&domain, now);
                self.wake_one(&domain);
            }
            let load = Load { waiting, ..self.load(&domain) };
            self.record_waiting(&domain, load, now);
            match resize(*self.bounds.of(&domain), load) {
                Resize::Grow(count) => self.grow(domain, count, now),
                Resize::Shrink if regular => self.shrink(&domain),
                Resize::Shrink | Resize::Keep => {}
            }
        }
    }

    /// Returns whether a domain has a worker that is not busy. The worker may also be starting or leaving.
    pub(super) fn has_free_worker(&self, domain: &str) -> bool {
        let mut workers = self.workers.values().filter(|worker| worker.domain == domain);
        workers.any(|worker| worker.activity != Activity::Busy)
    }

    /// Records since when tasks of a domain wait without need, for the health of the monitor. While an operation is
    /// blocked, its tasks have to wait, and nothing is recorded.
    fn record_waiting(&mut self, domain: &str, load: Load, now: Instant) {
        let may_grow = load.size < self.bounds.of(domain).max;
        let waits = load.waiting > 0
            && (self.has_free_worker(domain) || may_grow)
            && !self.has_blocked_operation(domain);
        if let Some(pool) = self.pools.get_mut(domain) {
            pool.waits_since = waits.then(|| pool.waits_since.unwrap_or(now));
        }
    }

    fn grow(&mut self, domain: String, count: u32, now: Instant) {
        if let Some(pool) = self.pools.get_mut(&domain).filter(|pool| pool.may_start(now)) {
            pool.spawning += count;
            self.actions.push(Action::Spawn { domain, count });
        }
    }

    fn shrink(&mut self, domain: &str) {
        let mut newest_first = self.workers.iter().rev();
        let idle = newest_first.find(|(_, worker)| worker.is_idle() && worker.domain == domain);
        if let Some(id) = idle.map(|(id, _)| *id) {
            tracing::info!("worker {id} is not needed and will exit");
            self.retire(id, SHUTDOWN);
        }
    }

    /// Serves these domains from now on: adds a pool of workers for each one that has none yet.
    pub(super) fn serve_domains(&mut self, domains: Vec<String>) {
        for domain in domains {
            if let Entry::Vacant(entry) = self.pools.entry(domain) {
                tracing::info!("domain {} is served from now on", entry.key());
                entry.insert(Pool::default());
                self.actions.push(Action::PollNow);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_TO_FOUR: Bounds = Bounds { min: 1, max: 4 };
    const UP_TO_FOUR: Bounds = Bounds { min: 0, max: 4 };

    fn load(size: u32, available: u32, idle: u32, waiting: u32) -> Load {
        Load { size, available, idle, waiting }
    }

    #[test]
    fn a_pool_grows_by_the_waiting_tasks_and_shrinks_one_by_one() {
        for (what, load, expected) in [
            ("nothing to do: one worker", load(0, 0, 0, 0), Resize::Grow(1)),
            ("the worker starts", load(1, 1, 0, 0), Resize::Keep),
            ("the worker is idle", load(1, 1, 1, 0), Resize::Keep),
            ("one task, and an idle worker for it", load(1, 1, 1, 1), Resize::Keep),
            ("the task runs, nothing waits", load(1, 0, 0, 0), Resize::Keep),
            ("two more tasks", load(1, 0, 0, 2), Resize::Grow(2)),
            ("their workers start", load(3, 2, 0, 2), Resize::Keep),
            ("two more tasks, room for one worker", load(3, 0, 0, 2), Resize::Grow(1)),
            ("one task stays queued", load(4, 0, 0, 1), Resize::Keep),
            ("all tasks aborted", load(4, 4, 4, 0), Resize::Shrink),
            ("one worker has exited", load(3, 3, 3, 0), Resize::Shrink),
            ("two workers have exited", load(2, 2, 2, 0), Resize::Shrink),
            ("one worker is left", load(1, 1, 1, 0), Resize::Keep),
        ] {
            assert_eq!(resize(ONE_TO_FOUR, load), expected, "{what}");
        }
    }

    #[test]
    fn a_pool_without_minimum_may_be_empty() {
        for (what, load, expected) in [
            ("nothing to do: no worker", load(0, 0, 0, 0), Resize::Keep),
            ("six tasks, four workers in one step", load(0, 0, 0, 6), Resize::Grow(4)),
            ("the workers start", load(4, 4, 0, 6), Resize::Keep),
            ("four tasks run", load(4, 0, 0, 2), Resize::Keep),
            ("all tasks done", load(4, 4, 4, 0), Resize::Shrink),
            ("one worker is left", load(1, 1, 1, 0), Resize::Shrink),
            ("the pool is empty again", load(0, 0, 0, 0), Resize::Keep),
        ] {
            assert_eq!(resize(UP_TO_FOUR, load), expected, "{what}");
        }
    }

    #[test]
    fn a_pool_above_its_maximum_neither_grows_nor_shrinks() {
        let left_behind = load(6, 0, 0, 5);
        assert_eq!(resize(ONE_TO_FOUR, left_behind), Resize::Keep);
    }

    #[test]
    fn an_idle_worker_does_not_exit_while_a_task_waits() {
        assert_eq!(resize(ONE_TO_FOUR, load(3, 2, 2, 1)), Resize::Keep);
    }
}
