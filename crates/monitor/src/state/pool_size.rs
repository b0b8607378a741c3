//! How many workers a domain needs: decided from the number of waiting tasks.

use std::{collections::btree_map::Entry, time::Instant};

use rework_core::fleet::heartbeat::Answer;

use crate::{
    event::Action,
    state::{State, restart_backoff::RestartBackoff, worker::Doing},
};

/// The reason of a worker that leaves because it was asked to, or is not needed.
pub(super) const SHUTDOWN: &str = "explicit shutdown";

/// The least and the most workers of a domain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// The workers of one domain.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// Whether a task may be ready and no worker was idle to be woken.
    pub(crate) hint: bool,
    /// Workers that are being started.
    pub(crate) spawning: u32,
    /// Whether waiting tasks are counted by the poll that is running.
    pub(crate) counted: bool,
    pub(crate) restart_backoff: RestartBackoff,
    /// Since when tasks wait, a slot is free, and nothing is claimed; `None` if that is not so.
    pub(crate) waits_since: Option<Instant>,
}

/// The numbers that decide the size of a pool.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// Worker processes, from the decision to start one to its end, with those that earlier monitors
    /// left behind.
    pub(crate) size: u32,
    /// Workers that could take a task: idle, looking, starting.
    pub(crate) spare: u32,
    /// Workers that looked for a task and found none.
    pub(crate) idle: u32,
    /// Queued tasks, counted at least as far as `max` and the spare ones can matter.
    pub(crate) waiting: u32,
}

/// How a pool is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// Start so many workers.
    Grow(u32),
    /// Ask one idle worker to leave.
    Shrink,
    /// Keep it as it is.
    Keep,
}

/// Decides how a pool is to change.
pub(crate) fn resize(bounds: Bounds, load: Load) -> Resize {
    let [min, max, size] = [bounds.min, bounds.max, load.size].map(i64::from);
    let short = i64::from(load.waiting) - i64::from(load.spare);
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
    /// How many processes a domain has.
    pub(crate) fn size(&self, domain: &str) -> u32 {
        self.load(domain).size
    }

    /// The workers of a domain, without the waiting tasks.
    pub(super) fn load(&self, domain: &str) -> Load {
        let spawning = self.pools.get(domain).map_or(0, |pool| pool.spawning);
        let mut load = Load { size: spawning, spare: spawning, idle: 0, waiting: 0 };
        for worker in self.workers.values().filter(|worker| worker.domain == domain) {
            load.size += 1;
            load.spare += u32::from(worker.was_spare);
            load.idle += u32::from(worker.is_idle());
        }
        load
    }

    /// Starts and retires workers, as the number of waiting tasks demands.
    pub(super) fn fit_pools(&mut self, answer: &Answer, regular: bool, now: Instant) {
        let counted = self.pools.iter().filter(|(_, pool)| pool.counted);
        let domains: Vec<String> = counted.map(|(domain, _)| domain.clone()).collect();
        for domain in domains {
            let found = answer.waiting.iter().find(|waiting| waiting.domain == domain);
            let waiting = found.map_or(0, |waiting| u32::try_from(waiting.tasks).unwrap_or(0));
            if waiting > 0 {
                self.wake_one(&domain);
            }
            let load = Load { waiting, ..self.load(&domain) };
            self.note_waiting(&domain, load, now);
            match resize(*self.bounds.of(&domain), load) {
                Resize::Grow(count) => self.grow(domain, count, now),
                Resize::Shrink if regular => self.shrink(&domain),
                Resize::Shrink | Resize::Keep => {}
            }
        }
    }

    /// Whether a worker of a domain could claim now.
    pub(super) fn has_free(&self, domain: &str) -> bool {
        let mut ours = self.workers.values().filter(|worker| worker.domain == domain);
        ours.any(|worker| worker.doing != Doing::Busy)
    }

    fn note_waiting(&mut self, domain: &str, load: Load, now: Instant) {
        let may_grow = load.size < self.bounds.of(domain).max;
        let waits = load.waiting > 0 && (self.has_free(domain) || may_grow);
        if let Some(pool) = self.pools.get_mut(domain) {
            pool.waits_since = waits.then(|| pool.waits_since.unwrap_or(now));
        }
    }

    fn grow(&mut self, domain: String, count: u32, now: Instant) {
        if let Some(pool) =
            self.pools.get_mut(&domain).filter(|pool| pool.restart_backoff.lets(now))
        {
            pool.spawning += count;
            self.actions.push(Action::Spawn { domain, count });
        }
    }

    fn shrink(&mut self, domain: &str) {
        let mut newest_first = self.workers.iter().rev();
        let idle = newest_first.find(|(_, worker)| worker.is_idle() && worker.domain == domain);
        if let Some(id) = idle.map(|(id, _)| *id) {
            tracing::info!("worker {id} is not needed and is to leave");
            self.retire(id, SHUTDOWN);
        }
    }

    /// The monitor serves these domains now.
    pub(super) fn serves(&mut self, domains: Vec<String>) {
        for domain in domains {
            if let Entry::Vacant(place) = self.pools.entry(domain) {
                tracing::info!("domain {} is served from now on", place.key());
                place.insert(Pool::default());
                self.actions.push(Action::Poll);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_TO_FOUR: Bounds = Bounds { min: 1, max: 4 };
    const UP_TO_FOUR: Bounds = Bounds { min: 0, max: 4 };

    fn load(size: u32, spare: u32, idle: u32, waiting: u32) -> Load {
        Load { size, spare, idle, waiting }
    }

    #[test]
    fn rw11_a_pool_grows_by_what_waits_and_shrinks_one_by_one() {
        for (what, load, expected) in [
            ("nothing to do: one worker", load(0, 0, 0, 0), Resize::Grow(1)),
            ("it is on its way", load(1, 1, 0, 0), Resize::Keep),
            ("it is idle", load(1, 1, 1, 0), Resize::Keep),
            ("one task, and an idle worker for it", load(1, 1, 1, 1), Resize::Keep),
            ("it runs, nothing waits", load(1, 0, 0, 0), Resize::Keep),
            ("two more", load(1, 0, 0, 2), Resize::Grow(2)),
            ("their workers start", load(3, 2, 0, 2), Resize::Keep),
            ("two more, room for one", load(3, 0, 0, 2), Resize::Grow(1)),
            ("one stays queued", load(4, 0, 0, 1), Resize::Keep),
            ("all aborted", load(4, 4, 4, 0), Resize::Shrink),
            ("one has left", load(3, 3, 3, 0), Resize::Shrink),
            ("two have left", load(2, 2, 2, 0), Resize::Shrink),
            ("one is left", load(1, 1, 1, 0), Resize::Keep),
        ] {
            assert_eq!(resize(ONE_TO_FOUR, load), expected, "{what}");
        }
    }

    #[test]
    fn rw12_a_pool_may_be_empty() {
        for (what, load, expected) in [
            ("nothing to do: no worker", load(0, 0, 0, 0), Resize::Keep),
            ("six tasks, four workers in one step", load(0, 0, 0, 6), Resize::Grow(4)),
            ("they start", load(4, 4, 0, 6), Resize::Keep),
            ("they run", load(4, 0, 0, 2), Resize::Keep),
            ("all done", load(4, 4, 4, 0), Resize::Shrink),
            ("the last one", load(1, 1, 1, 0), Resize::Shrink),
            ("empty again", load(0, 0, 0, 0), Resize::Keep),
        ] {
            assert_eq!(resize(UP_TO_FOUR, load), expected, "{what}");
        }
    }

    #[test]
    fn more_workers_than_allowed_are_no_reason_to_start_or_kill_any() {
        let left_behind = load(6, 0, 0, 5);
        assert_eq!(resize(ONE_TO_FOUR, left_behind), Resize::Keep);
    }

    #[test]
    fn an_idle_worker_does_not_leave_while_something_waits() {
        assert_eq!(resize(ONE_TO_FOUR, load(3, 2, 2, 1)), Resize::Keep);
    }
}
