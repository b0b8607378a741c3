//! How many workers a domain needs: pure decisions from counts, and patience with workers that die
//! as soon as they are started.

use std::time::{Duration, Instant};

/// The least and the most workers of a domain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// What a pool looks like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// Processes, from the moment that one is to be started until it has ended; those that earlier
    /// monitors left behind too.
    pub(crate) size: u32,
    /// Those that could take a task without another one being started: idle, looking, starting.
    pub(crate) spare: u32,
    /// Those that looked and found nothing.
    pub(crate) idle: u32,
    /// Queued tasks, counted at least as far as `max` and the spare ones can matter.
    pub(crate) waiting: u32,
}

/// What is to become of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// Start so many workers.
    Grow(u32),
    /// Ask one idle worker to leave.
    Shrink,
    /// It fits.
    Keep,
}

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

/// A worker that lived no longer than this was not worth starting.
const STILLBORN: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// Doubles the pause between starts while the workers of a domain die as soon as they are started.
#[derive(Debug, Default)]
pub(crate) struct Damper {
    pause: Option<Duration>,
    not_before: Option<Instant>,
}

impl Damper {
    /// A worker ended that nobody had asked to.
    pub(crate) fn died(&mut self, lived: Duration, now: Instant) {
        if lived > STILLBORN {
            *self = Damper::default();
            return;
        }
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LAST_PAUSE));
        self.pause = Some(pause);
        self.not_before = Some(now + pause);
    }

    /// Whether a worker may be started now.
    pub(crate) fn lets(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
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

    #[test]
    fn workers_that_die_at_birth_are_started_ever_less_often() {
        let start = Instant::now();
        let mut damper = Damper::default();
        assert!(damper.lets(start));
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            damper.died(Duration::from_millis(5), now);
            assert!(!damper.lets(now));
            let pause = (1..=20_000).find(|ms| damper.lets(now + Duration::from_millis(*ms)));
            pauses.push(pause.unwrap());
            now += Duration::from_millis(pause.unwrap());
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        damper.died(Duration::from_secs(60), now);
        assert!(damper.lets(now));
    }
}
