//! The timer of polls: the database is polled once a second, and at once when a hint says that there
//! may be something to see, but not more often than every ten milliseconds.

use std::time::{Duration, Instant};

/// The shortest time between two polls: hints that come faster are answered together.
const SHORTEST: Duration = Duration::from_millis(10);

/// When the last poll was sent, and when the next one is due. Only one poll runs at a time.
#[derive(Debug)]
pub(crate) struct PollTimer {
    every: Duration,
    regular_at: Instant,
    sent_at: Option<Instant>,
    hinted: bool,
    running: bool,
}

impl PollTimer {
    /// A timer with a regular poll in each period `every`; the first is due now.
    pub(crate) fn new(every: Duration, now: Instant) -> PollTimer {
        PollTimer { every, regular_at: now, sent_at: None, hinted: false, running: false }
    }

    /// There may be something to see: poll soon.
    pub(crate) fn hint(&mut self) {
        self.hinted = true;
    }

    /// When the next poll is due; `None` while one is running.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.running {
            return None;
        }
        let earliest = self.sent_at.map_or(self.regular_at, |sent| sent + SHORTEST);
        Some(if self.hinted { earliest.min(self.regular_at) } else { self.regular_at })
    }

    /// Begins a poll if one is due; says whether it is the regular one.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<bool> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let regular = self.regular_at <= now;
        if regular {
            self.regular_at = now + self.every;
        }
        self.sent_at = Some(now);
        self.hinted = false;
        self.running = true;
        Some(regular)
    }

    /// The poll has been answered, or never will be.
    pub(crate) fn end(&mut self) {
        self.running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_poll_a_second_and_one_for_each_hint() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut timer = PollTimer::new(Duration::from_secs(1), start);
        assert_eq!(timer.begin(start), Some(true));
        assert_eq!(timer.due(), None, "running");
        timer.hint();
        timer.end();
        assert_eq!(timer.due(), Some(ms(10)), "hints are answered together");
        assert_eq!(timer.begin(ms(9)), None);
        assert_eq!(timer.begin(ms(10)), Some(false));
        timer.end();
        assert_eq!(timer.due(), Some(ms(1000)));
        assert_eq!(timer.begin(ms(1003)), Some(true));
        timer.end();
        assert_eq!(timer.due(), Some(ms(2003)));
    }
}
