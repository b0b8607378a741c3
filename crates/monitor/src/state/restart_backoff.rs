//! The backoff of restarts: while the workers of a domain die as soon as they are started, the pause
//! between two starts doubles, from 0.2 to 10 seconds.

use std::time::{Duration, Instant};

/// A worker that died sooner counts as one that died at its start.
const MIN_UPTIME: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// The pause before the next start of a worker in one domain.
#[derive(Debug, Default)]
pub(crate) struct RestartBackoff {
    pause: Option<Duration>,
    not_before: Option<Instant>,
}

impl RestartBackoff {
    /// A worker died by itself, or could not be started.
    pub(crate) fn died(&mut self, lived: Duration, now: Instant) {
        if lived > MIN_UPTIME {
            *self = RestartBackoff::default();
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

    #[test]
    fn workers_that_die_at_birth_are_started_ever_less_often() {
        let start = Instant::now();
        let mut backoff = RestartBackoff::default();
        assert!(backoff.lets(start));
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            backoff.died(Duration::from_millis(5), now);
            assert!(!backoff.lets(now));
            let pause = (1..=20_000).find(|ms| backoff.lets(now + Duration::from_millis(*ms)));
            pauses.push(pause.unwrap());
            now += Duration::from_millis(pause.unwrap());
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.died(Duration::from_secs(60), now);
        assert!(backoff.lets(now));
    }
}
