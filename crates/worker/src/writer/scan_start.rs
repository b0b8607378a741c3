//! Where a worker starts to scan the queue: behind the tasks that it has claimed. Index entries of claimed tasks stay
//! until no snapshot can see them, and a scan of a whole lane walks over all of them. Pure.
//!
//! The remembered positions are hints. Tasks become ready below them: from transactions that commit late, from claims that
//! came to nothing. So the worker scans whole lanes before it believes that there is nothing, and again and again for a
//! small share of its time. Where whole scans are quick, it makes no others.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rework_core::task::claim::{Claimed, Place, ScanRanges};

/// A whole scan that takes less is quick.
const QUICK: Duration = Duration::from_millis(5);

/// What a scan takes for each task that it finds, wherever it starts.
const TASK: Duration = Duration::from_micros(10);

/// Slow whole scans may take one part in this many of the worker's time.
const SHARE: u32 = 50;

/// The longest pause between two whole scans: one that took long may have had other reasons.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The most positions that are remembered. Past it, all are forgotten.
const MAX_POSITIONS: usize = 64;

/// The position from which each lane and priority is scanned.
#[derive(Debug, Default)]
pub(crate) struct ScanStart {
    /// By lane, then by priority.
    lanes: BTreeMap<i32, BTreeMap<i16, i64>>,
    /// Whole lanes are not scanned again before this moment.
    next_whole: Option<Instant>,
}

impl ScanStart {
    /// The ranges to scan now; `None` to scan whole lanes.
    pub(crate) fn ranges(&self, now: Instant) -> Option<ScanRanges> {
        if self.lanes.is_empty() || self.next_whole.is_none_or(|at| at <= now) {
            return None;
        }
        let mut ranges = ScanRanges::default();
        for (lane, positions) in &self.lanes {
            let mut above = i32::from(i16::MAX) + 1;
            for (priority, position) in positions.iter().rev() {
                let priority = i32::from(*priority);
                add(&mut ranges, *lane, (priority + 1, above - 1), 0);
                add(&mut ranges, *lane, (priority, priority), *position);
                above = priority;
            }
            add(&mut ranges, *lane, (i32::from(i16::MIN), above - 1), 0);
        }
        Some(ranges)
    }

    /// When whole lanes may be scanned again; `None` if at any time.
    pub(crate) fn next_whole(&self) -> Option<Instant> {
        self.next_whole
    }

    /// A scan of whole lanes (`whole`) or of ranges claimed these tasks, in their order, and took this long.
    pub(crate) fn claimed(&mut self, tasks: &[Claimed], whole: bool, took: Duration, now: Instant) {
        if whole {
            let took = took.saturating_sub(TASK * tasks.len() as u32);
            let pause = (took * SHARE).min(LONGEST_PAUSE);
            self.next_whole = (took >= QUICK).then_some(now + pause);
        }
        let Some(last) = tasks.last() else { return };
        let Place { lane, priority, position } = last.place;
        if self.lanes.values().map(BTreeMap::len).sum::<usize>() >= MAX_POSITIONS {
            self.lanes.clear();
        }
        self.lanes.entry(lane).or_default().insert(priority, position + 1);
    }
}

fn add(ranges: &mut ScanRanges, lane: i32, (low, high): (i32, i32), floor: i64) {
    if low <= high {
        ranges.lanes.push(lane);
        ranges.lows.push(low);
        ranges.highs.push(high);
        ranges.floors.push(floor);
    }
}

#[cfg(test)]
mod tests {
    use rework_core::task::{claim::OperationVersion, fence::Fence, payload::Payload};

    use super::*;

    const SLOW: Duration = Duration::from_millis(8);

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

    fn scanned(start: &ScanStart, now: Instant) -> Option<Vec<(i32, i32, i64)>> {
        let ranges = start.ranges(now)?;
        let bounds = ranges.lows.into_iter().zip(ranges.highs).zip(ranges.floors);
        Some(bounds.map(|((low, high), floor)| (low, high, floor)).collect())
    }

    #[test]
    fn a_scan_starts_behind_what_was_claimed() {
        let now = Instant::now();
        let mut start = ScanStart::default();
        assert_eq!(start.ranges(now), None, "nothing is known yet");
        start.claimed(&at(0, 41), true, SLOW, now);
        assert_eq!(scanned(&start, now).unwrap(), [(1, 32767, 0), (0, 0, 42), (-32768, -1, 0)]);
        start.claimed(&at(5, 99), false, QUICK, now);
        let all = [(6, 32767, 0), (5, 5, 100), (1, 4, 0), (0, 0, 42), (-32768, -1, 0)];
        assert_eq!(scanned(&start, now).unwrap(), all);
        start.claimed(&at(i16::MAX, 1), false, QUICK, now);
        assert_eq!(scanned(&start, now).unwrap()[0], (32767, 32767, 2));
    }

    #[test]
    fn slow_scans_of_whole_lanes_take_a_small_share_of_the_time() {
        let now = Instant::now();
        let mut start = ScanStart::default();
        start.claimed(&at(0, 41), true, SLOW, now);
        assert!(start.ranges(now + SLOW * (SHARE - 2)).is_some());
        assert!(start.ranges(now + SLOW * SHARE).is_none());
        start.claimed(&at(0, 30), true, Duration::from_secs(2), now);
        assert_eq!(scanned(&start, now).unwrap()[1], (0, 0, 31), "there may be more of them");
        assert!(start.ranges(now + LONGEST_PAUSE / 2).is_some());
        assert!(start.ranges(now + LONGEST_PAUSE).is_none());
    }

    #[test]
    fn quick_scans_of_whole_lanes_are_repeated_at_once() {
        let now = Instant::now();
        let mut start = ScanStart::default();
        start.claimed(&at(0, 41), true, QUICK, now);
        assert!(start.ranges(now).is_none(), "a part of it was for the task that it found");
        start.claimed(&[], true, QUICK, now);
        assert!(start.ranges(now).is_some(), "it took as long and found nothing");
        start.claimed(&[], true, Duration::ZERO, now);
        assert!(start.ranges(now).is_none());
    }

    #[test]
    fn not_every_position_is_kept() {
        let mut start = ScanStart::default();
        for lane in 0..1000 {
            start.claimed(&in_lane(lane, 0, 1), true, SLOW, Instant::now());
            assert!(start.lanes.len() <= MAX_POSITIONS);
        }
    }
}
