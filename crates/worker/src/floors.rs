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

use rework_core::claim::{Claimed, Place, Regions};

/// The whole is looked over so often, where it is done in no time.
const OFTEN: Duration = Duration::from_millis(50);

/// The longest that it is put off: what took long may have had other reasons.
const SELDOM: Duration = Duration::from_secs(10);

/// A look over the whole takes no more than one part in so many of the time.
const SHARE: u32 = 50;

/// Looks over the whole that take no longer than this, beside this for each task that they bring, are
/// repeated at once: there is nothing to be saved.
const QUICK: Duration = Duration::from_millis(1);
const QUICK_ROW: Duration = Duration::from_micros(10);

/// Nor where they take hardly longer than looks behind the floors, by no more than one part in so many:
/// then the machine is busy, and hints have a price of their own.
const HARDLY: u32 = 4;

/// One look counts for one part in so many.
const SMOOTH: u32 = 8;

/// So often one looks behind the floors all the same: what it takes changes.
const PROBE: u32 = 16;

/// Floors that are kept; past it, all are forgotten.
const MAX_FLOORS: usize = 64;

/// The floors of a worker.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    /// By lane, and by priority in it.
    lanes: BTreeMap<i32, BTreeMap<i16, i64>>,
    /// Not before this moment is the whole looked over again.
    next_whole: Option<Instant>,
    /// How long a look over the whole takes, and one behind the floors.
    whole: Pace,
    behind: Pace,
    /// Looks over the whole since the last one behind the floors.
    wholes: u32,
}

/// How long looks take, beside what the tasks cost that they bring: as the last ones did.
#[derive(Debug, Default)]
struct Pace(Option<Duration>);

impl Pace {
    fn note(&mut self, took: Duration, tasks: usize) {
        let took = took.saturating_sub(QUICK_ROW * tasks as u32);
        let before = self.0.unwrap_or(took);
        self.0 = Some((before * (SMOOTH - 1) + took) / SMOOTH);
    }
}

impl Floors {
    /// Where to look now; none: everywhere.
    pub(crate) fn regions(&self, now: Instant) -> Option<Regions> {
        if self.lanes.is_empty() || self.wants_whole(now) {
            return None;
        }
        let mut regions = Regions::default();
        for (lane, floors) in &self.lanes {
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

    fn wants_whole(&self, now: Instant) -> bool {
        let is_due = self.next_whole.is_none_or(|at| at <= now);
        let (Some(whole), behind) = (self.whole.0, self.behind.0.unwrap_or_default()) else {
            return true;
        };
        if whole < QUICK {
            return true;
        }
        let hardly_longer = whole < behind + behind / HARDLY;
        if hardly_longer { self.wholes < PROBE } else { is_due }
    }

    /// When everything may be looked over again.
    pub(crate) fn next_whole(&self) -> Option<Instant> {
        self.next_whole
    }

    /// These were claimed, in their order, by a look over the whole or behind the floors, which took so
    /// long.
    pub(crate) fn claimed(&mut self, tasks: &[Claimed], whole: bool, took: Duration, now: Instant) {
        if whole {
            self.next_whole = Some(now + (took * SHARE).clamp(OFTEN, SELDOM));
            self.whole.note(took, tasks.len());
            self.wholes += 1;
        } else {
            self.behind.note(took, tasks.len());
            self.wholes = 0;
        }
        let Some(last) = tasks.last() else { return };
        let Place { lane, priority, position } = last.place;
        if self.lanes.values().map(BTreeMap::len).sum::<usize>() >= MAX_FLOORS {
            self.lanes.clear();
        }
        self.lanes.entry(lane).or_default().insert(priority, position + 1);
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
    use rework_core::claim::{Fence, OperationVersion, Payload};

    use super::*;

    const LONG: Duration = Duration::from_millis(4);

    fn at(priority: i16, position: i64) -> [Claimed; 1] {
        in_lane(7, priority, position)
    }

    fn in_lane(lane: i32, priority: i16, position: i64) -> [Claimed; 1] {
        [Claimed {
            fence: Fence { task: 1, run: 1, token: uuid::Uuid::nil() },
            attempt: 1,
            version: OperationVersion { operation: 1, version: 1, placement: 1, revision: 1 },
            input: Payload::None,
            metadata: None,
            place: Place { lane, priority, position },
        }]
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
        floors.claimed(&at(0, 41), true, LONG, start);
        assert_eq!(seen(&floors, start).unwrap(), [(1, 32767, 0), (0, 0, 42), (-32768, -1, 0)]);
        floors.claimed(&at(5, 99), false, QUICK, start);
        let all = [(6, 32767, 0), (5, 5, 100), (1, 4, 0), (0, 0, 42), (-32768, -1, 0)];
        assert_eq!(seen(&floors, start).unwrap(), all);
        floors.claimed(&at(i16::MAX, 1), false, QUICK, start);
        assert_eq!(seen(&floors, start).unwrap()[0], (32767, 32767, 2));
    }

    #[test]
    fn the_whole_is_looked_over_for_its_share_of_time() {
        let start = Instant::now();
        let mut floors = Floors::default();
        let soon = LONG * (SHARE - 1);
        floors.claimed(&at(0, 41), true, LONG, start);
        assert!(floors.regions(start + soon).is_some());
        assert!(floors.regions(start + LONG * SHARE).is_none());
        floors.claimed(&at(0, 30), true, Duration::from_secs(2), start);
        assert_eq!(seen(&floors, start).unwrap()[1], (0, 0, 31), "there may be more of them");
        assert!(floors.regions(start + SELDOM / 2).is_some());
        assert!(floors.regions(start + SELDOM).is_none());
    }

    #[test]
    fn what_takes_no_time_is_not_spared() {
        let start = Instant::now();
        let mut floors = Floors::default();
        floors.claimed(&at(0, 41), true, QUICK, start);
        assert!(floors.regions(start).is_none());
        floors.claimed(&[], true, QUICK * 2, start);
        assert!(floors.regions(start).is_some(), "it brought nothing, and took longer");
    }

    #[test]
    fn where_all_is_slow_nothing_is_spared() {
        let start = Instant::now();
        let mut floors = Floors::default();
        floors.claimed(&at(0, 41), true, LONG * 5, start);
        assert!(floors.regions(start).is_some(), "it may be worth it");
        floors.claimed(&at(0, 42), false, LONG * 5, start);
        for _ in 0..PROBE {
            assert!(floors.regions(start).is_none(), "it is not");
            floors.claimed(&at(0, 43), true, LONG * 5, start);
        }
        assert!(floors.regions(start).is_some(), "it may be by now");
        for _ in 0..SMOOTH {
            floors.claimed(&at(0, 44), false, LONG, start);
        }
        assert!(floors.regions(start).is_some(), "it is");
    }

    #[test]
    fn not_everything_is_kept() {
        let mut floors = Floors::default();
        for lane in 0..1000 {
            floors.claimed(&in_lane(lane, 0, 1), true, LONG, Instant::now());
            assert!(floors.lanes.len() <= MAX_FLOORS);
        }
    }
}
