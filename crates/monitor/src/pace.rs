//! When to look at the database: once a second, and at once when something hints at it, but not
//! more often than the database would like to bear.

use std::time::{Duration, Instant};

/// Hints that come faster are answered together.
const SHORTEST: Duration = Duration::from_millis(10);

/// When the last look was, and when the next one is due. One at a time.
#[derive(Debug)]
pub(crate) struct Pace {
    every: Duration,
    standing_at: Instant,
    sent_at: Option<Instant>,
    hinted: bool,
    under_way: bool,
}

impl Pace {
    /// One each so often; the first is due now.
    pub(crate) fn new(every: Duration, now: Instant) -> Pace {
        Pace { every, standing_at: now, sent_at: None, hinted: false, under_way: false }
    }

    /// There may be something to see.
    pub(crate) fn hint(&mut self) {
        self.hinted = true;
    }

    /// When the next look is due; none while one is under way.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.under_way {
            return None;
        }
        let earliest = self.sent_at.map_or(self.standing_at, |sent| sent + SHORTEST);
        Some(if self.hinted { earliest.min(self.standing_at) } else { self.standing_at })
    }

    /// A look begins, if one is due: whether it is the one of this second.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<bool> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let standing = self.standing_at <= now;
        if standing {
            self.standing_at = now + self.every;
        }
        self.sent_at = Some(now);
        self.hinted = false;
        self.under_way = true;
        Some(standing)
    }

    /// It has been answered, or never will be.
    pub(crate) fn end(&mut self) {
        self.under_way = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_a_second_and_one_for_each_hint() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(Duration::from_secs(1), start);
        assert_eq!(pace.begin(start), Some(true));
        assert_eq!(pace.due(), None, "under way");
        pace.hint();
        pace.end();
        assert_eq!(pace.due(), Some(ms(10)), "hints are answered together");
        assert_eq!(pace.begin(ms(9)), None);
        assert_eq!(pace.begin(ms(10)), Some(false));
        pace.end();
        assert_eq!(pace.due(), Some(ms(1000)));
        assert_eq!(pace.begin(ms(1003)), Some(true));
        pace.end();
        assert_eq!(pace.due(), Some(ms(2003)));
    }
}
