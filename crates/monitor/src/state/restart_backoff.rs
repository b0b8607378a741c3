//! The backoff of restarts. While the workers of a domain die soon after their start, the pause before the next start
//! doubles, from 0.2 to 10 seconds.

use std::time::{Duration, Instant};

/// The lifetime up to which a dead worker counts as one that died at its start.
const MIN_UPTIME: Duration = Duration::from_secs(1);

/// The pause after the first such death.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause. It keeps a broken domain from using the CPU, and still restarts soon after a repair.
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// The pause before the next start of a worker in one domain.
#[derive(Debug, Default)]
pub(crate) struct RestartBackoff {
    /// The last pause. `None` after a worker that lived longer.
    pause: Option<Duration>,
    /// The time before which no worker is started. `None` if workers may be started at any time.
    not_before: Option<Instant>,
}

impl RestartBackoff {
    /// Records that a worker died unexpectedly after `lived`, or could not be started.
    pub(crate) fn record_death(&mut self, lived: Duration, now: Instant) {
        if lived > MIN_UPTIME {
            *self = RestartBackoff::default();
            return;
        }
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LAST_PAUSE));
        self.pause = Some(pause);
        self.not_before = Some(now + pause);
    }

    /// Returns whether a worker may be started now.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_die_at_their_start_are_started_ever_less_often() {
        let start = Instant::now();
        let mut backoff = RestartBackoff::default();
        assert!(backoff.allows(start));
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            backoff.record_death(Duration::from_millis(5), now);
            assert!(!backoff.allows(now));
            let pause = (1..=20_000).find(|ms| backoff.allows(now + Duration::from_millis(*ms)));
            pauses.push(pause.unwrap());
            now += Duration::from_millis(pause.unwrap());
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.record_death(Duration::from_secs(60), now);
        assert!(backoff.allows(now));
    }
}
