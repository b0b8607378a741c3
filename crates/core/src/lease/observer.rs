//! The observer of leases: a pure state machine that decides which leases are dead.
//!
//! An observer reads the leases of other hosts again and again. A lease is dead if neither its
//! epoch (a number that changes when it is taken away) nor its number of renewals has changed for
//! its length and a tenth, measured on the clock of the observer. The caller then takes the lease
//! away by compare-and-set (`row.rs`). A monitor observes leases in
//! `monitor/src/state/lost_hosts.rs`.

use std::collections::BTreeMap;

use rework_wire::lease::{BootTime, LeaseTerms};

use super::row::LeaseSnapshot;

/// An event for an observer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObserverEvent {
    /// The leases were read.
    Polled {
        /// When the statement was sent.
        sent_at: BootTime,
        /// The leases that are observed.
        leases: Vec<(LeaseSnapshot, LeaseTerms)>,
    },
    /// A poll failed, or the connection broke. The leases may have been renewed in the meantime, so all observations
    /// start again.
    PollFailed,
}

/// An observer of leases.
#[derive(Debug, Clone)]
pub struct LeaseObserver {
    poll_interval: BootTime,
    /// The observation of each lease, by the id of the lease.
    observations: BTreeMap<i64, Observation>,
}

#[derive(Debug, Clone)]
struct Observation {
    snapshot: LeaseSnapshot,
    /// The moment since which the lease has not changed.
    unchanged_since: BootTime,
    last_poll: BootTime,
}

impl LeaseObserver {
    /// Creates an observer that reads the leases once in each `poll_interval`.
    pub fn new(poll_interval: BootTime) -> LeaseObserver {
        LeaseObserver { poll_interval, observations: BTreeMap::new() }
    }

    /// Handles an event, and returns the leases that are dead. The caller takes them away by compare-and-set.
    pub fn step(&mut self, event: ObserverEvent, now: BootTime) -> Vec<LeaseSnapshot> {
        let ObserverEvent::Polled { sent_at, leases } = event else {
            self.observations.clear();
            return Vec::new();
        };
        self.observations.retain(|id, _| leases.iter().any(|(lease, _)| lease.lease.id == *id));
        let is_dead = |(lease, terms): &(LeaseSnapshot, LeaseTerms)| {
            self.is_dead(*lease, *terms, sent_at, now)
        };
        let dead: Vec<bool> = leases.iter().map(is_dead).collect();
        leases.iter().zip(dead).filter(|(_, dead)| *dead).map(|((lease, _), _)| *lease).collect()
    }

    /// Returns whether a lease is dead, given its snapshot. The database took the snapshot at some moment between
    /// `sent_at` and `now`. To be safe, an observation starts at `now` and is measured until `sent_at`.
    fn is_dead(
        &mut self,
        snapshot: LeaseSnapshot,
        terms: LeaseTerms,
        sent_at: BootTime,
        now: BootTime,
    ) -> bool {
        let fresh = Observation { snapshot, unchanged_since: now, last_poll: now };
        let observation =
            self.observations.entry(snapshot.lease.id).or_insert_with(|| fresh.clone());
        let gap = now.saturating_sub(observation.last_poll);
        // After a long gap this process may have stood still, and then its clock proves nothing.
        let max_gap = terms.max_poll_gap().max(self.poll_interval * 3);
        if observation.snapshot != snapshot || gap > max_gap {
            *observation = fresh;
            return false;
        }
        observation.last_poll = now;
        sent_at.saturating_sub(observation.unchanged_since) >= terms.dead_after()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lease::row::Lease;

    const SECOND: Duration = Duration::from_secs(1);

    fn observer() -> LeaseObserver {
        LeaseObserver::new(SECOND)
    }

    fn poll(observer: &mut LeaseObserver, second: u32, epoch: i64, renewals: i64) -> usize {
        let snapshot = LeaseSnapshot { lease: Lease { id: 1, epoch }, renewals };
        let now = SECOND * second;
        let leases = vec![(snapshot, LeaseTerms::default())];
        observer.step(ObserverEvent::Polled { sent_at: now, leases }, now).len()
    }

    #[test]
    fn a_lease_is_dead_when_it_has_not_changed_for_its_length_and_a_tenth() {
        let mut observer = observer();
        assert_eq!((0..22).map(|second| poll(&mut observer, second, 1, 5)).sum::<usize>(), 0);
        assert_eq!(poll(&mut observer, 22, 1, 5), 1);
    }

    #[test]
    fn a_lease_that_changes_is_alive() {
        for (epoch, renewals) in [(1, 6), (2, 5)] {
            let mut observer = observer();
            (0..20).for_each(|second| assert_eq!(poll(&mut observer, second, 1, 5), 0));
            for second in 20..42 {
                assert_eq!(poll(&mut observer, second, epoch, renewals), 0, "after {second} s");
            }
            assert_eq!(poll(&mut observer, 42, epoch, renewals), 1);
        }
    }

    #[test]
    fn a_short_lease_is_polled_as_often_as_the_others() {
        let mut observer = observer();
        let terms = LeaseTerms { length: SECOND * 2 };
        let snapshot = LeaseSnapshot { lease: Lease { id: 1, epoch: 1 }, renewals: 5 };
        let mut poll = |second: u32| {
            let now = SECOND * second;
            let leases = vec![(snapshot, terms)];
            observer.step(ObserverEvent::Polled { sent_at: now, leases }, now).len()
        };
        assert_eq!((0..3).map(&mut poll).sum::<usize>(), 0);
        assert_eq!(poll(3), 1);
    }

    #[test]
    fn time_without_a_reply_proves_nothing() {
        let mut observer = observer();
        poll(&mut observer, 0, 1, 5);
        assert_eq!(poll(&mut observer, 60, 1, 5), 0);
        assert_eq!((61..82).map(|second| poll(&mut observer, second, 1, 5)).sum::<usize>(), 0);
        observer.step(ObserverEvent::PollFailed, SECOND * 82);
        assert_eq!((82..104).map(|second| poll(&mut observer, second, 1, 5)).sum::<usize>(), 0);
        assert_eq!(poll(&mut observer, 104, 1, 5), 1);
    }
}
