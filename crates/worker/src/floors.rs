//! Where a worker looks for ready tasks: behind those that it has claimed. What was ready once stands
//! in the index until nobody can see it any more, and is walked over by everyone who looks from the
//! beginning. Pure.
//!
//! A floor is a hint. Tasks become ready below it: of transactions that commit late, of claims that came
//! to nothing. So the whole is looked over before a worker believes that there is nothing, and now and
//! then, which takes its share of time and no more; always where hints save nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rework_core::task::claim::{Claimed, Place, Regions};

/// Where hints save something, the whole is looked over so often, if it is done in no time.
const OFTEN: Duration = Duration::from_millis(50);

/// The longest that it is put off: what took long may have had other reasons.
const SELDOM: Duration = Duration::from_secs(10);

/// A look over the whole takes no more than one part in so many of the time.
const SHARE: u32 = 50;

/// Looks over the whole that take less than this, beside this for each task that they bring, are
/// repeated at once: there is nothing to be saved.
const QUICK: Duration = Duration::from_millis(1);
const QUICK_ROW: Duration = Duration::from_micros(10);

/// Where looks over the whole take longer than those behind the floors by less than one part in so many, and
/// than so long, hints save nothing: the machine is busy, and their plan has a price of its own.
const HARDLY: u32 = 4;
const HARDLY_MOST: Duration = Duration::from_millis(2);

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
    /// What a look over the whole costs, and one behind the floors.
    whole: Cost,
    behind: Cost,
    /// Looks over the whole since the last one behind the floors.
    wholes: u32,
}

/// How long looks take, beside what the tasks cost that they bring.
#[derive(Debug, Default)]
struct Cost {
    /// As the last ones did.
    smooth: Option<Duration>,
    /// The last one.
    last: Duration,
}

impl Cost {
    fn note(&mut self, took: Duration, tasks: usize) {
        self.last = took.saturating_sub(QUICK_ROW * tasks as u32);
        let before = self.smooth.unwrap_or(self.last);
        self.smooth = Some((before * (SMOOTH - 1) + self.last) / SMOOTH);
    }

    /// One that was held up does not count for long.
    fn least(&self) -> Duration {
        self.smooth.map_or(Duration::ZERO, |smooth| smooth.min(self.last))
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
        let (Some(whole), behind) = (self.whole.smooth, self.behind.least()) else {
            return true;
        };
        let is_due = self.next_whole.is_none_or(|at| at <= now);
        let saves_nothing = whole < behind + HARDLY_MOST.min(behind / HARDLY);
        is_due || whole < QUICK || (saves_nothing && self.wholes < PROBE)
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
            self.wholes = self.wholes.saturating_add(1);
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
    use rework_core::task::{claim::OperationVersion, fence::Fence, payload::Payload};

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
            ctid: rework_core::task::row_location::Ctid::default(),
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

    /// Looks as often as said, as the floors will, and tells how many were over the whole.
    fn look(
        floors: &mut Floors,
        now: Instant,
        looks: u32,
        whole: Duration,
        behind: Duration,
    ) -> u32 {
        let mut wholes = 0;
        for _ in 0..looks {
            let is_whole = floors.regions(now).is_none();
            floors.claimed(&at(0, 41), is_whole, if is_whole { whole } else { behind }, now);
            wholes += u32::from(is_whole);
        }
        wholes
    }

    #[test]
    fn where_all_is_slow_nothing_is_spared() {
        let start = Instant::now();
        let mut floors = Floors::default();
        let looks = 10 * (PROBE + 1);
        let wholes = look(&mut floors, start, looks, LONG, LONG);
        assert!(wholes >= looks - 11, "{wholes} of {looks}: but for the probes");
        look(&mut floors, start, looks, LONG * 10, LONG);
        assert_eq!(
            look(&mut floors, start, looks, LONG * 10, LONG),
            0,
            "the whole has become slow"
        );
        look(&mut floors, start, looks, LONG * 10, LONG * 10);
        let wholes = look(&mut floors, start, looks, LONG * 10, LONG * 10);
        assert!(wholes >= looks - 11, "{wholes} of {looks}: so has the rest");
    }

    #[test]
    fn one_that_was_held_up_costs_a_few_looks() {
        let start = Instant::now();
        let mut floors = Floors::default();
        look(&mut floors, start, 2, LONG * 10, SELDOM);
        let wholes = look(&mut floors, start, 10 * PROBE, LONG * 10, LONG);
        assert!(wholes <= PROBE, "{wholes}");
    }

    #[test]
    fn what_is_due_is_not_put_off_for_a_probe() {
        let start = Instant::now();
        let mut floors = Floors::default();
        look(&mut floors, start, 2 + PROBE, LONG, LONG);
        assert!(floors.regions(start).is_some(), "a probe");
        assert!(floors.regions(start + LONG * SHARE + OFTEN).is_none());
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
