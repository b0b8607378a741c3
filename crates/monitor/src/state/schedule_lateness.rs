//! How late schedules fire. If very many are due at once, they wait for each other. None is missed because of that, but
//! the log and the health of the monitor show it.

use std::time::{Duration, Instant};

/// A schedule counts as late if it waits longer than this for its task. Normally it waits a second at most.
const LATE_AFTER: Duration = Duration::from_secs(10);

/// The time between two warnings while schedules are late.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// How long the first of the schedules that are due has waited, as last observed.
#[derive(Debug, Default)]
pub(crate) struct ScheduleLateness {
    late: Duration,
    /// The time of the last warning. `None` if schedules are in time.
    warned_at: Option<Instant>,
}

impl ScheduleLateness {
    /// Records how long the first of the schedules that are due has waited: zero if none is due.
    pub(crate) fn observe(&mut self, late: Duration, now: Instant) {
        self.late = late;
        if late < LATE_AFTER {
            if self.warned_at.take().is_some() {
                tracing::info!("schedules fire in time again");
            }
        } else if self.warned_at.is_none_or(|at| now.duration_since(at) >= WARNING_INTERVAL) {
            self.warned_at = Some(now);
            tracing::warn!(
                "schedules fire late, by up to {} s; none is missed because of that",
                late.as_secs()
            );
        }
    }

    /// Returns how long the first of the schedules that are due has waited. `None` if schedules are in time.
    pub(crate) fn late(&self) -> Option<Duration> {
        (self.late >= LATE_AFTER).then_some(self.late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_late_from_ten_seconds_on_and_a_warning_comes_once_a_minute() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut lateness = ScheduleLateness::default();
        let mut warnings = Vec::new();
        for (at, late) in [(0, 9), (1, 10), (30, 39), (60, 69), (61, 70), (62, 0), (63, 12)] {
            let before = lateness.warned_at;
            lateness.observe(seconds(late), start + seconds(at));
            assert_eq!(lateness.late(), (late >= 10).then(|| seconds(late)));
            if lateness.warned_at.is_some() && lateness.warned_at != before {
                warnings.push(at);
            }
        }
        assert_eq!(warnings, [1, 61, 63]);
    }
}
