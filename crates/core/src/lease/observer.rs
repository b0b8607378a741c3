//! Watching leases: which of them are dead, as far as one observer can tell.

use std::collections::BTreeMap;

use rework_wire::lease::{Moment, Terms};

use super::row::Seen;

/// What happens to an observer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A look was answered.
    Looked {
        sent_at: Moment,
        /// The leases that it watches, as they were.
        leases: Vec<(Seen, Terms)>,
    },
    /// A look was not answered, or the connection broke: what happened meanwhile is not known.
    Lost,
}

/// An observer.
#[derive(Debug, Clone)]
pub struct Watch {
    /// How often it looks.
    every: Moment,
    vigils: BTreeMap<i64, Vigil>,
}

#[derive(Debug, Clone)]
struct Vigil {
    seen: Seen,
    /// It has not moved since then.
    since: Moment,
    last_look: Moment,
}

impl Watch {
    /// One that looks so often.
    pub fn new(every: Moment) -> Watch {
        Watch { every, vigils: BTreeMap::new() }
    }

    /// What follows from an event: the leases that are dead, to be taken away by compare-and-set.
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Seen> {
        let Event::Looked { sent_at, leases } = event else {
            self.vigils.clear();
            return Vec::new();
        };
        self.vigils.retain(|id, _| leases.iter().any(|(seen, _)| seen.lease.id == *id));
        let look = |(seen, terms): &(Seen, Terms)| self.look(*seen, *terms, sent_at, now);
        let dead: Vec<bool> = leases.iter().map(look).collect();
        leases.iter().zip(dead).filter(|(_, dead)| *dead).map(|((seen, _), _)| *seen).collect()
    }

    /// The state was that of a moment between sending and answer: for a beginning the later of the
    /// two counts, for an end the earlier.
    fn look(&mut self, seen: Seen, terms: Terms, sent_at: Moment, now: Moment) -> bool {
        let fresh = Vigil { seen, since: now, last_look: now };
        let vigil = self.vigils.entry(seen.lease.id).or_insert_with(|| fresh.clone());
        let gap = now.saturating_sub(vigil.last_look);
        if vigil.seen != seen || gap > terms.longest_gap().max(self.every * 3) {
            *vigil = fresh;
            return false;
        }
        vigil.last_look = now;
        sent_at.saturating_sub(vigil.since) >= terms.dead_after()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lease::row::Lease;

    const SECOND: Duration = Duration::from_secs(1);

    fn watch() -> Watch {
        Watch::new(SECOND)
    }

    fn look(watch: &mut Watch, second: u32, epoch: i64, renewals: i64) -> usize {
        let seen = Seen { lease: Lease { id: 1, epoch }, renewals };
        let now = SECOND * second;
        let leases = vec![(seen, Terms::default())];
        watch.step(Event::Looked { sent_at: now, leases }, now).len()
    }

    #[test]
    fn a_lease_is_dead_when_it_has_not_moved_for_its_length_and_a_tenth() {
        let mut watch = watch();
        assert_eq!((0..22).map(|second| look(&mut watch, second, 1, 5)).sum::<usize>(), 0);
        assert_eq!(look(&mut watch, 22, 1, 5), 1);
    }

    #[test]
    fn a_lease_that_moves_lives() {
        for (epoch, renewals) in [(1, 6), (2, 5)] {
            let mut watch = watch();
            (0..20).for_each(|second| assert_eq!(look(&mut watch, second, 1, 5), 0));
            for second in 20..42 {
                assert_eq!(look(&mut watch, second, epoch, renewals), 0, "after {second} s");
            }
            assert_eq!(look(&mut watch, 42, epoch, renewals), 1);
        }
    }

    #[test]
    fn a_shorter_lease_is_watched_as_often_as_the_others() {
        let mut watch = watch();
        let terms = Terms { length: SECOND * 2 };
        let seen = Seen { lease: Lease { id: 1, epoch: 1 }, renewals: 5 };
        let mut look = |second: u32| {
            let now = SECOND * second;
            watch.step(Event::Looked { sent_at: now, leases: vec![(seen, terms)] }, now).len()
        };
        assert_eq!((0..3).map(&mut look).sum::<usize>(), 0);
        assert_eq!(look(3), 1);
    }

    #[test]
    fn time_without_an_answer_is_no_evidence() {
        let mut watch = watch();
        look(&mut watch, 0, 1, 5);
        assert_eq!(look(&mut watch, 60, 1, 5), 0);
        assert_eq!((61..82).map(|second| look(&mut watch, second, 1, 5)).sum::<usize>(), 0);
        watch.step(Event::Lost, SECOND * 82);
        assert_eq!((82..104).map(|second| look(&mut watch, second, 1, 5)).sum::<usize>(), 0);
        assert_eq!(look(&mut watch, 104, 1, 5), 1);
    }
}
