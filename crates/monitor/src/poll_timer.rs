//! The timer of the polls. The database is polled once a second, and additionally on request, for example after a
//! notification. Two polls are at least ten milliseconds apart.

use std::time::{Duration, Instant};

/// The shortest time between two polls. Requests that come faster share a poll.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The time of the last poll and of the next one. Only one poll runs at a time.
#[derive(Debug)]
pub(crate) struct PollTimer {
    /// The time between two regular polls.
    interval: Duration,
    /// The time of the next regular poll.
    regular_at: Instant,
    /// The time of the last poll. `None` before the first one.
    sent_at: Option<Instant>,
    /// Whether an additional poll was requested.
    requested: bool,
    /// Whether a poll is running.
    running: bool,
}

impl PollTimer {
    /// Creates a timer whose first regular poll is due now.
    pub(crate) fn new(interval: Duration, now: Instant) -> PollTimer {
        PollTimer { interval, regular_at: now, sent_at: None, requested: false, running: false }
    }

    /// Requests a poll as soon as possible.
    pub(crate) fn request(&mut self) {
        self.requested = true;
    }

    /// Returns when the next poll is due. `None` while one is running.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.running {
            return None;
        }
        let earliest = self.sent_at.map_or(self.regular_at, |sent| sent + MIN_INTERVAL);
        Some(if self.requested { earliest.min(self.regular_at) } else { self.regular_at })
    }

    /// Starts a poll if one is due. Returns whether it is a regular one, or `None` if no poll is due.
    pub(crate) fn start(&mut self, now: Instant) -> Option<bool> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let regular = self.regular_at <= now;
        if regular {
            self.regular_at = now + self.interval;
        }
        self.sent_at = Some(now);
        self.requested = false;
        self.running = true;
        Some(regular)
    }

    /// Notes that the running poll has ended, with or without a reply.
    pub(crate) fn finish(&mut self) {
        self.running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_poll_a_second_and_one_for_each_request() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut timer = PollTimer::new(Duration::from_secs(1), start);
        assert_eq!(timer.start(start), Some(true));
        assert_eq!(timer.due(), None, "running");
        timer.request();
        timer.finish();
        assert_eq!(timer.due(), Some(ms(10)), "requests share a poll");
        assert_eq!(timer.start(ms(9)), None);
        assert_eq!(timer.start(ms(10)), Some(false));
        timer.finish();
        assert_eq!(timer.due(), Some(ms(1000)));
        assert_eq!(timer.start(ms(1003)), Some(true));
        timer.finish();
        assert_eq!(timer.due(), Some(ms(2003)));
    }
}
