//! Plans which schedules are fired together, and for which instants. Pure: no clock, no database.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    cron::{
        due::{Due, DueInstants, WatchedPeriod},
        error::CronError,
        rule::{Missed, Rule},
    },
    db::error::Result,
};

/// A schedule that is due, as it was read from the database.
#[derive(Debug)]
pub(super) struct DueSchedule {
    pub(super) schedule: i64,
    pub(super) domain: String,
    pub(super) rule: String,
    pub(super) zone: String,
    pub(super) missed: Missed,
    pub(super) next_at: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

/// A schedule that is due, with the instants for which tasks are to be made.
#[derive(Debug)]
pub(super) struct PlannedFiring {
    pub(super) schedule: i64,
    pub(super) was: DateTime<Utc>,
    pub(super) due: DueInstants,
}

/// Computes the instants of schedules. Many schedules may have the same rule, and be due at the same instant.
#[derive(Debug, Default)]
pub(super) struct Planner {
    /// The periods in which a monitor watched, by domain.
    watched: HashMap<String, Vec<WatchedPeriod>>,
    /// The parsed rules, by rule and time zone.
    rules: HashMap<(String, String), Rule>,
}

impl Planner {
    /// Sets the periods in which a monitor watched, by domain.
    pub(super) fn set_watched(&mut self, watched: HashMap<String, Vec<WatchedPeriod>>) {
        self.watched = watched;
    }

    /// Plans the firing of schedules that were read together. A schedule whose rule is not valid is added to `failures`
    /// instead.
    pub(super) fn plan(
        &mut self,
        due: &[DueSchedule],
        limit: usize,
        failures: &mut Vec<(i64, CronError)>,
    ) -> Vec<PlannedFiring> {
        let mut computed: HashMap<(&str, &str, &str, Missed, DateTime<Utc>), DueInstants> =
            HashMap::new();
        let mut planned = Vec::new();
        for one in due {
            let key = (&*one.rule, &*one.zone, &*one.domain, one.missed, one.next_at);
            let instants = match computed.get(&key) {
                Some(instants) => instants.clone(),
                None => match self.instants(one, limit) {
                    Ok(instants) => computed.entry(key).or_insert(instants).clone(),
                    Err(error) => {
                        failures.push((one.schedule, error));
                        continue;
                    }
                },
            };
            planned.push(PlannedFiring { schedule: one.schedule, was: one.next_at, due: instants });
        }
        planned
    }

    fn instants(&mut self, one: &DueSchedule, limit: usize) -> Result<DueInstants, CronError> {
        let watched = self.watched.get(&one.domain).map(Vec::as_slice).unwrap_or_default();
        let rule: &Rule = match self.rules.entry((one.rule.clone(), one.zone.clone())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Rule::parse(&one.rule, &one.zone)?),
        };
        let (first, now, missed) = (one.next_at, one.now, one.missed);
        Ok(Due { rule, first, now, missed, watched }.instants(limit))
    }

    /// Returns how long a schedule has waited although a monitor watched it: not longer than the present period.
    pub(super) fn late(&self, first: Option<&DueSchedule>) -> Duration {
        let Some(first) = first else { return Duration::ZERO };
        let periods = self.watched.get(&first.domain).map(Vec::as_slice).unwrap_or_default();
        let Some(present) = periods.iter().max_by_key(|period| period.until) else {
            return Duration::ZERO;
        };
        let late: TimeDelta = first.now - first.next_at.max(present.since);
        late.to_std().unwrap_or_default()
    }
}

/// Splits schedules into groups of at most `limit` schedules and `limit` instants. A schedule has at most `limit`
/// instants.
pub(super) fn together(planned: Vec<PlannedFiring>, limit: usize) -> Vec<Vec<PlannedFiring>> {
    let mut groups: Vec<Vec<PlannedFiring>> = Vec::new();
    let mut instants = 0;
    for one in planned {
        instants += one.due.instants.len();
        match groups.last_mut() {
            Some(group) if group.len() < limit && instants <= limit => group.push(one),
            _ => {
                instants = one.due.instants.len();
                groups.push(vec![one]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(instants: usize) -> PlannedFiring {
        let at = DateTime::UNIX_EPOCH;
        let due = DueInstants { instants: vec![at; instants], next: None };
        PlannedFiring { schedule: 1, was: at, due }
    }

    #[test]
    fn a_group_has_a_limited_number_of_schedules_and_of_instants() {
        for (instants, limit, expected) in [
            (vec![], 3, vec![]),
            (vec![1, 1, 1, 1], 3, vec![3, 1]),
            (vec![0, 0, 0, 0], 3, vec![3, 1]),
            (vec![2, 2, 1, 3, 1], 3, vec![1, 2, 1, 1]),
            (vec![1, 1], 1, vec![1, 1]),
        ] {
            let groups = together(instants.iter().map(|count| planned(*count)).collect(), limit);
            let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
            assert_eq!(sizes, expected, "{instants:?}");
        }
    }
}
