//! Decides for which instants of a due schedule tasks are made. Pure: no clock, no database.
//!
//! An instant is missed if no monitor watched the schedules of its domain then, nor within a minute after it. Instants
//! that are not missed always get a task, however late. For missed ones the policy decides.

use chrono::{DateTime, TimeDelta, Utc};

use crate::cron::rule::{Missed, Rule};

/// An instant is not missed if a monitor watches at most this long after it. A monitor that is restarted needs less.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);

/// The largest number of instants for which tasks are made under [`Missed::All`]: the latest ones. Instants that are
/// not missed count too, but all of them get a task. The queue must not be flooded after a long time without a monitor.
pub const MOST_MISSED: usize = 100;

/// A period in which monitors watched the schedules of a domain (`rework.schedule_watch`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedPeriod {
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// The instants of a schedule that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueInstants {
    /// The instants for which tasks are made now, in ascending order.
    pub instants: Vec<DateTime<Utc>>,
    /// The instant at which the schedule is due next. It has passed already if not all instants fit into the limit.
    /// `None` if the rule never fires again.
    pub next: Option<DateTime<Utc>>,
}

/// A schedule that is due, and what decides about its instants.
#[derive(Debug, Clone, Copy)]
pub struct Due<'a> {
    pub rule: &'a Rule,
    /// The first instant that has not fired yet.
    pub first: DateTime<Utc>,
    pub now: DateTime<Utc>,
    pub missed: Missed,
    /// The periods in which the domain of the schedule was watched.
    pub watched: &'a [WatchedPeriod],
}

impl Due<'_> {
    /// Returns the instants from `first` to `now` for which a task must be made: all of them, or the first `limit`.
    pub fn instants(&self, limit: usize) -> DueInstants {
        let (mut instants, following) = self.on_time(limit);
        instants.extend(self.caught_up());
        instants.sort_unstable();
        instants.dedup();
        if instants.len() > limit {
            let next = instants[limit];
            instants.truncate(limit);
            return DueInstants { instants, next: Some(next) };
        }
        DueInstants { instants, next: following.or_else(|| self.rule.after(self.now)) }
    }

    /// Returns the instants that are not missed, in ascending order: all of them, or `limit` and one more. Also returns
    /// the first instant after `now`, if it was found on the way.
    fn on_time(&self, limit: usize) -> (Vec<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let mut instants = Vec::new();
        for (start, end) in self.on_time_ranges() {
            let mut at = start - TimeDelta::nanoseconds(1);
            while let Some(instant) = self.rule.after(at) {
                if instant > self.now {
                    return (instants, Some(instant));
                }
                if instant > end {
                    break;
                }
                if instants.len() > limit {
                    return (instants, None);
                }
                instants.push(instant);
                at = instant;
            }
        }
        (instants, None)
    }

    /// Returns the ranges of time in which an instant is not missed, in ascending order and without overlaps.
    fn on_time_ranges(&self) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let just_now = WatchedPeriod { since: self.now, until: self.now };
        let periods = self.watched.iter().copied().chain([just_now]);
        let mut ranges: Vec<(DateTime<Utc>, DateTime<Utc>)> = periods
            .map(|period| {
                // An instant that is exactly a minute too early is missed.
                let start = earlier(period.since, ON_TIME) + TimeDelta::nanoseconds(1);
                (start.max(self.first), period.until.min(self.now))
            })
            .filter(|(start, end)| start <= end)
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for (start, end) in ranges {
            match merged.last_mut() {
                Some((_, last_end)) if start <= *last_end => *last_end = end.max(*last_end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    /// Returns the missed instants that the policy catches up.
    fn caught_up(&self) -> Vec<DateTime<Utc>> {
        let ranges = self.on_time_ranges();
        let is_missed = |instant: &DateTime<Utc>| {
            !ranges.iter().any(|(start, end)| (start..=end).contains(&instant))
        };
        // A single range contains the present. If it starts at the first instant, none is missed.
        let all_on_time = matches!(ranges[..], [(start, _)] if start <= self.first);
        if self.missed == Missed::None || all_on_time {
            return Vec::new();
        }
        let most = if self.missed == Missed::Last { 1 } else { MOST_MISSED };
        let mut latest = Vec::new();
        let mut at = self.rule.until(self.now);
        while let Some(instant) = at.filter(|at| *at >= self.first && latest.len() < most) {
            latest.push(instant);
            at = self.rule.until(instant - TimeDelta::nanoseconds(1));
        }
        latest.retain(is_missed);
        latest
    }
}

/// Returns the time that lies `by` before `at`, or the earliest time if that is too early for the type.
fn earlier(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_sub_signed(by).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn period(since: &str, until: &str) -> WatchedPeriod {
        WatchedPeriod { since: at(since), until: at(until) }
    }

    const FIRST: &str = "2026-11-22T01:00:00Z";

    /// Returns the hours of the instants of an hourly rule that is due since 1:00, and the hour that is due next.
    fn hours(missed: Missed, now: &str, watched: &[WatchedPeriod]) -> (Vec<String>, String) {
        let rule = Rule::parse("0 * * * *", "UTC").unwrap();
        let due = Due { rule: &rule, first: at(FIRST), now: at(now), missed, watched };
        let DueInstants { instants, next } = due.instants(1000);
        let hour = |instant: &DateTime<Utc>| instant.format("%H").to_string();
        (instants.iter().map(hour).collect(), hour(&next.unwrap()))
    }

    #[test]
    fn the_policy_decides_which_missed_instants_get_a_task() {
        let hours = |missed, now| hours(missed, now, &[]).0;
        let now = "2026-11-22T05:30:00Z";
        assert!(hours(Missed::None, now).is_empty());
        assert_eq!(hours(Missed::Last, now), ["05"]);
        assert_eq!(hours(Missed::All, now), ["01", "02", "03", "04", "05"]);
        // The last of them is less than a minute old, so it is not missed.
        let now = "2026-11-22T05:00:30Z";
        assert_eq!(hours(Missed::None, now), ["05"]);
        assert_eq!(hours(Missed::Last, now), ["05"]);
        assert_eq!(hours(Missed::All, now), ["01", "02", "03", "04", "05"]);
        assert!(hours(Missed::All, "2026-11-22T00:59:59Z").is_empty(), "nothing is due");
    }

    #[test]
    fn an_instant_that_a_monitor_watched_is_not_missed_however_late_it_is() {
        let now = "2026-11-22T09:30:00Z";
        let all: Vec<String> = (1..=9).map(|hour| format!("{hour:02}")).collect();
        let still = [period("2026-11-22T00:30:00Z", "2026-11-22T09:29:58Z")];
        assert_eq!(hours(Missed::None, now, &still), (all.clone(), "10".to_owned()));
        assert_eq!(hours(Missed::Last, now, &still).0, all);
        // Two monitors with a pause between them. 5:00 was missed; 6:00 was not, by less than a minute.
        let twice = [
            period("2026-11-22T05:00:59Z", "2026-11-22T05:00:59Z"),
            period("2026-11-22T01:30:00Z", "2026-11-22T04:30:00Z"),
            period("2026-11-22T06:00:59Z", "2026-11-22T07:30:00Z"),
        ];
        let [before, between] = [&twice[1..], &twice[..]];
        assert_eq!(hours(Missed::None, now, before).0, ["02", "03", "04", "06", "07"]);
        assert_eq!(hours(Missed::None, now, between).0, ["02", "03", "04", "05", "06", "07"]);
        assert_eq!(hours(Missed::Last, now, before).0, ["02", "03", "04", "06", "07", "09"]);
        assert_eq!(hours(Missed::All, now, before).0, all);
        let late = [period("2026-11-22T05:01:00Z", "2026-11-22T05:30:00Z")];
        assert!(hours(Missed::None, now, &late).0.is_empty(), "5:00 was a minute earlier");
    }

    #[test]
    fn after_a_long_pause_the_latest_instants_are_caught_up() {
        let rule = Rule::parse("*/10 * * * * *", "UTC").unwrap();
        let (first, now) = (at(FIRST), at("2026-11-22T05:00:30Z"));
        let due = |missed| Due { rule: &rule, first, now, missed, watched: &[] }.instants(1000);
        let all = due(Missed::All).instants;
        assert_eq!((all.len(), all.last()), (MOST_MISSED, Some(&now)));
        assert_eq!(due(Missed::None).instants.len(), 6, "those of the last minute");
    }

    #[test]
    fn instants_that_do_not_fit_into_the_limit_are_left_for_later() {
        let rule = Rule::parse("* * * * * *", "UTC").unwrap();
        let now = at("2026-11-22T02:00:00Z");
        let watched = [WatchedPeriod { since: at(FIRST), until: now }];
        let (mut first, mut all) = (at(FIRST), Vec::new());
        while first <= now {
            let due = Due { rule: &rule, first, now, missed: Missed::None, watched: &watched };
            let DueInstants { instants, next } = due.instants(1000);
            assert!((1..=1000).contains(&instants.len()));
            all.extend(instants);
            first = next.unwrap();
        }
        assert_eq!(all.len(), 3601);
        assert!(all.is_sorted() && all.first() == Some(&at(FIRST)) && all.last() == Some(&now));
        assert_eq!(first, now + TimeDelta::seconds(1));
    }

    #[test]
    fn a_rule_that_never_fires_again_has_no_next_instant() {
        let rule = Rule::parse("0 0 30 2 *", "UTC").unwrap();
        let (first, now) = (at(FIRST), at("2026-11-22T02:00:00Z"));
        let due = Due { rule: &rule, first, now, missed: Missed::All, watched: &[] };
        assert_eq!(due.instants(10), DueInstants { instants: Vec::new(), next: None });
    }
}
