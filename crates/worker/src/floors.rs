//! Where a worker looks for ready tasks: behind those that it has claimed. What was ready once stands
//! in the index until nobody can see it any more, and is walked over by everyone who looks from the
//! beginning. Pure.
//!
//! A floor is a hint. Tasks become ready below it: of transactions that commit late, of claims that came
//! to nothing. So the whole is looked over now and then, which takes its share of time and no more,
//! and before a worker believes that there is nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rework_core::claim::{Place, Regions};

/// The whole is looked over so often, where it is done in no time.
const OFTEN: Duration = Duration::from_millis(50);

/// A look over the whole takes no more than one part in so many of the time.
const SHARE: u32 = 20;

/// Floors that are kept; past it, all are forgotten.
const MAX_FLOORS: usize = 64;

/// The floors of a worker.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    /// By lane, and by priority in it.
    floors: BTreeMap<i32, BTreeMap<i16, i64>>,
    /// Not before this moment is the whole looked over again.
    next_whole: Option<Instant>,
}

impl Floors {
    /// Where to look now; none: everywhere.
    pub(crate) fn regions(&self, now: Instant) -> Option<Regions> {
        if self.floors.is_empty() || self.next_whole.is_none_or(|at| at <= now) {
            return None;
        }
        let mut regions = Regions::default();
        for (lane, floors) in &self.floors {
            let mut above = i32::from(i16::MAX) + 1;
            for (priority, floor) in floors.iter().rev() {
                let priority = i32::from(*priority);
                add(&mut regions, *lane, (priority + 1, above - 1), 0);
                add(&mut regions, *lane, (priority, priority), *floor);
                above = priority;
            }
            add(&mut regions, *lane, (i32::from(i16::MIN), above - 1), 0);
        }
        Some(regions)
    }

    /// When everything may be looked over again.
    pub(crate) fn next_whole(&self) -> Option<Instant> {
        self.next_whole
    }

    /// These were claimed, in their order; `whole` tells how long it took, where one looked
    /// everywhere.
    pub(crate) fn claimed(&mut self, last: Option<Place>, whole: Option<Duration>, now: Instant) {
        if let Some(took) = whole {
            self.next_whole = Some(now + OFTEN.max(took * SHARE));
        }
        let Some(Place { lane, priority, position }) = last else { return };
        if self.floors.values().map(BTreeMap::len).sum::<usize>() >= MAX_FLOORS {
            self.floors.clear();
        }
        self.floors.entry(lane).or_default().insert(priority, position + 1);
    }
}

fn add(regions: &mut Regions, lane: i32, (low, high): (i32, i32), floor: i64) {
    if low <= high {
        regions.lanes.push(lane);
        regions.lows.push(low);
        regions.highs.push(high);
        regions.floors.push(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_millis(1);

    fn at(priority: i16, position: i64) -> Option<Place> {
        Some(Place { lane: 7, priority, position })
    }

    fn seen(floors: &Floors, now: Instant) -> Option<Vec<(i32, i32, i64)>> {
        let regions = floors.regions(now)?;
        let bounds = regions.lows.into_iter().zip(regions.highs).zip(regions.floors);
        Some(bounds.map(|((low, high), floor)| (low, high, floor)).collect())
    }

    #[test]
    fn a_claim_is_followed_by_a_look_behind_it() {
        let start = Instant::now();
        let mut floors = Floors::default();
        assert_eq!(floors.regions(start), None, "nothing is known yet");
        floors.claimed(at(0, 41), Some(NOW), start);
        assert_eq!(seen(&floors, start).unwrap(), [(1, 32767, 0), (0, 0, 42), (-32768, -1, 0)]);
        floors.claimed(at(5, 99), None, start);
        let all = [(6, 32767, 0), (5, 5, 100), (1, 4, 0), (0, 0, 42), (-32768, -1, 0)];
        assert_eq!(seen(&floors, start).unwrap(), all);
        floors.claimed(at(i16::MAX, 1), None, start);
        assert_eq!(seen(&floors, start).unwrap()[0], (32767, 32767, 2));
    }

    #[test]
    fn the_whole_is_looked_over_for_its_share_of_time() {
        let start = Instant::now();
        let mut floors = Floors::default();
        floors.claimed(at(0, 41), Some(NOW), start);
        assert!(floors.regions(start + OFTEN - NOW).is_some());
        assert!(floors.regions(start + OFTEN).is_none());
        floors.claimed(at(0, 30), Some(Duration::from_secs(2)), start);
        assert_eq!(seen(&floors, start).unwrap()[1], (0, 0, 31), "there may be more of them");
        assert!(floors.regions(start + Duration::from_secs(39)).is_some());
        assert!(floors.regions(start + Duration::from_secs(40)).is_none());
    }

    #[test]
    fn not_everything_is_kept() {
        let mut floors = Floors::default();
        for lane in 0..1000 {
            let place = Place { lane, priority: 0, position: 1 };
            floors.claimed(Some(place), Some(NOW), Instant::now());
            assert!(floors.floors.len() <= MAX_FLOORS);
        }
    }
}
