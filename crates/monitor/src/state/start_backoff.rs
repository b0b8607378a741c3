//! The backoff of starts: while something cannot be started, the pause before the next attempt doubles. There is one
//! backoff for the workers of a domain, one for the runs of a domain, and one for the runs of each operation.

use std::time::{Duration, Instant};

/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause between two attempts to start workers, and between two attempts to start runs of a domain. It
/// keeps a broken domain from using the CPU, and still restarts soon after a repair.
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// The number of failures in a row from which on people are told.
const SHOWN_FROM: u32 = 3;

/// How long after the last pause a failure is forgotten, if nothing was started again. Then there was nothing to start.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The failures in a row of starting one thing.
#[derive(Debug)]
pub(crate) struct StartBackoff {
    longest_pause: Duration,
    /// The number of failures in a row.
    failures: u32,
    /// The reason of the last failure, as one line. Empty without a failure.
    reason: String,
    /// The time before which nothing is started. `None` without a failure.
    not_before: Option<Instant>,
}

impl Default for StartBackoff {
    fn default() -> StartBackoff {
        StartBackoff::new(LAST_PAUSE)
    }
}

impl StartBackoff {
    /// Creates a backoff without failures.
    pub(crate) fn new(longest_pause: Duration) -> StartBackoff {
        StartBackoff { longest_pause, failures: 0, reason: String::new(), not_before: None }
    }

    /// Records a failed start. Returns the pause before the next attempt. `None` if the pause has started already,
    /// because several attempts were made at the same time.
    pub(crate) fn record_failure(&mut self, reason: &str, now: Instant) -> Option<Duration> {
        self.reason = reason.lines().collect::<Vec<_>>().join("; ");
        if !self.allows(now) {
            return None;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        let pause = doubled.min(self.longest_pause);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
        Some(pause)
    }

    /// Records a successful start. Returns whether people were told about the failures before.
    pub(crate) fn record_success(&mut self) -> bool {
        let was_shown = self.is_shown();
        *self = StartBackoff::new(self.longest_pause);
        was_shown
    }

    /// Returns whether a start may be attempted now.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// Returns the time of the next attempt. `None` without a failure.
    pub(crate) fn next_attempt(&self) -> Option<Instant> {
        self.not_before
    }

    /// Returns whether the last failure is so long ago that there is probably nothing to start any more.
    pub(crate) fn is_old(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| at + FORGOTTEN_AFTER <= now)
    }

    /// Returns whether people are told: several starts in a row have failed.
    pub(crate) fn is_shown(&self) -> bool {
        self.failures >= SHOWN_FROM
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records failures, each one as soon as the backoff allows it. Returns the pauses in milliseconds.
    fn pauses(backoff: &mut StartBackoff, count: usize, now: &mut Instant) -> Vec<u128> {
        let mut pauses = Vec::new();
        for _ in 0..count {
            assert!(backoff.allows(*now));
            let pause = backoff.record_failure("no\nspace", *now).unwrap();
            let just_before = *now + pause.saturating_sub(Duration::from_millis(1));
            assert!(!backoff.allows(just_before));
            assert_eq!(backoff.record_failure("again", just_before), None, "at the same time");
            *now += pause;
            pauses.push(pause.as_millis());
        }
        pauses
    }

    #[test]
    fn what_cannot_be_started_is_tried_ever_less_often() {
        let mut now = Instant::now();
        let mut backoff = StartBackoff::default();
        assert!(!backoff.is_shown() && backoff.failures() == 0);
        assert_eq!(pauses(&mut backoff, 2, &mut now), [200, 400]);
        assert!(!backoff.is_shown() && backoff.failures() == 2);
        assert_eq!(pauses(&mut backoff, 6, &mut now), [800, 1600, 3200, 6400, 10_000, 10_000]);
        assert!(backoff.is_shown() && backoff.failures() == 8);
        assert!(backoff.record_success());
        assert!(backoff.failures() == 0 && backoff.allows(now));
        assert!(!backoff.record_success(), "nobody was told of a failure since then");
    }

    #[test]
    fn the_longest_pause_can_be_chosen() {
        let mut now = Instant::now();
        let mut backoff = StartBackoff::new(Duration::from_secs(60));
        let last = pauses(&mut backoff, 40, &mut now).pop();
        assert_eq!(last, Some(60_000));
    }

    #[test]
    fn the_reason_is_one_line_and_a_failure_grows_old() {
        let now = Instant::now();
        let mut backoff = StartBackoff::default();
        assert!(!backoff.is_old(now));
        backoff.record_failure("no\nspace", now);
        assert_eq!(backoff.reason(), "no; space");
        let age = FIRST_PAUSE + FORGOTTEN_AFTER;
        assert!(!backoff.is_old(now + age.saturating_sub(Duration::from_millis(1))));
        assert!(backoff.is_old(now + age));
    }
}
