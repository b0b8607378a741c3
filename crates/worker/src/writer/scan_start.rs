//! The positions from which a worker scans the queue: behind the tasks that it has claimed. The
//! index entries of claimed tasks stay until no snapshot can see them, and a scan of a whole lane
//! (the waiting tasks that need the same thing of a host) walks over all of these entries. This
//! file only calculates.
//!
//! The remembered positions may skip ready tasks: a transaction that commits late, or a claim that is undone, makes
//! tasks ready below them. So the worker scans whole lanes before it concludes that nothing is ready, and also
//! regularly for a small share of its time. Where such scans are quick, it makes no others.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rework_core::task::claim::{ClaimedTask, QueueKey, ScanRanges};

/// If the search for tasks in a scan of whole lanes takes less time than this, the next scan is
/// also one of whole lanes.
const QUICK_SCAN: Duration = Duration::from_millis(5);

/// The time that a scan takes for each task that it claims, wherever it starts. It is subtracted, to compare only the
/// time for finding the tasks.
const TIME_PER_TASK: Duration = Duration::from_micros(10);

/// Slow scans of whole lanes may take at most 1/50 of the worker's time.
const WHOLE_SCAN_SHARE: u32 = 50;

/// The longest pause between two scans of whole lanes. A scan may also be slow because the machine is busy.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The most positions that are remembered. When there are more, all are forgotten.
const MAX_POSITIONS: usize = 64;

/// The position from which each lane and priority is scanned.
#[derive(Debug, Default)]
pub(crate) struct ScanStart {
    /// The first position to scan, by lane and then by priority.
    lanes: BTreeMap<i32, BTreeMap<i16, i64>>,
    /// When whole lanes may be scanned again; `None` if at any time.
    next_whole_scan: Option<Instant>,
}

impl ScanStart {
    /// Returns the ranges to scan now; `None` if whole lanes are to be scanned. Priorities above and below the
    /// remembered ones are scanned from their start.
    pub(crate) fn ranges(&self, now: Instant) -> Option<ScanRanges> {
        if self.lanes.is_empty() || self.next_whole_scan.is_none_or(|at| at <= now) {
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

    /// Returns when whole lanes may be scanned again; `None` if at any time.
    pub(crate) fn next_whole_scan(&self) -> Option<Instant> {
        self.next_whole_scan
    }

    /// Records a scan that claimed these tasks, in their order, and took this long. `whole` means that it scanned whole
    /// lanes.
    pub(crate) fn record_claim(
        &mut self,
        tasks: &[ClaimedTask],
        whole: bool,
        took: Duration,
        now: Instant,
    ) {
        if whole {
            let took = took.saturating_sub(TIME_PER_TASK * tasks.len() as u32);
            let pause = (took * WHOLE_SCAN_SHARE).min(MAX_PAUSE);
            self.next_whole_scan = (took >= QUICK_SCAN).then_some(now + pause);
        }
        let Some(last) = tasks.last() else { return };
        let QueueKey { lane, priority, position } = last.queue_key;
        if self.lanes.values().map(BTreeMap::len).sum::<usize>() >= MAX_POSITIONS {
            self.lanes.clear();
        }
        self.lanes.entry(lane).or_default().insert(priority, position + 1);
    }
}

/// Adds the priorities from `low` to `high` of a lane, from `position` on, unless the range is empty.
fn add(ranges: &mut ScanRanges, lane: i32, (low, high): (i32, i32), position: i64) {
    if low <= high {
        ranges.lanes.push(lane);
        ranges.lows.push(low);
        ranges.highs.push(high);
        ranges.positions.push(position);
    }
}

#[cfg(test)]
mod tests {
    use rework_core::task::{claim::OperationVersion, fence::Fence, payload::Payload};

    use super::*;

    const SLOW_SCAN: Duration = Duration::from_millis(8);

    fn at(priority: i16, position: i64) -> [ClaimedTask; 1] {
        in_lane(7, priority, position)
    }

    fn in_lane(lane: i32, priority: i16, position: i64) -> [ClaimedTask; 1] {
        [ClaimedTask {
            fence: Fence { task: 1, run: 1, token: uuid::Uuid::nil() },
            attempt: 1,
            version: OperationVersion { operation: 1, version: 1, placement: 1, revision: 1 },
            input: Payload::None,
            metadata: None,
            queue_key: QueueKey { lane, priority, position },
        }]
    }

    fn scanned(start: &ScanStart, now: Instant) -> Option<Vec<(i32, i32, i64)>> {
        let ranges = start.ranges(now)?;
        let bounds = ranges.lows.into_iter().zip(ranges.highs).zip(ranges.positions);
        Some(bounds.map(|((low, high), position)| (low, high, position)).collect())
    }

    #[test]
    fn a_scan_starts_behind_what_was_claimed() {
        let now = Instant::now();
        let mut start = ScanStart::default();
        assert_eq!(start.ranges(now), None, "nothing is known yet");
        start.record_claim(&at(0, 41), true, SLOW_SCAN, now);
        assert_eq!(scanned(&start, now).unwrap(), [(1, 32767, 0), (0, 0, 42), (-32768, -1, 0)]);
        start.record_claim(&at(5, 99), false, QUICK_SCAN, now);
        let all = [(6, 32767, 0), (5, 5, 100), (1, 4, 0), (0, 0, 42), (-32768, -1, 0)];
        assert_eq!(scanned(&start, now).unwrap(), all);
        start.record_claim(&at(i16::MAX, 1), false, QUICK_SCAN, now);
        assert_eq!(scanned(&start, now).unwrap()[0], (32767, 32767, 2));
    }

    #[test]
    fn slow_scans_of_whole_lanes_take_a_small_share_of_the_time() {
        let now = Instant::now();
        let mut start = ScanStart::default();
        start.record_claim(&at(0, 41), true, SLOW_SCAN, now);
        assert!(start.ranges(now + SLOW_SCAN * (WHOLE_SCAN_SHARE - 2)).is_some());
        assert!(start.ranges(now + SLOW_SCAN * WHOLE_SCAN_SHARE).is_none());
        start.record_claim(&at(0, 30), true, Duration::from_secs(2), now);
        assert_eq!(scanned(&start, now).unwrap()[1], (0, 0, 31), "there may be more of them");
        assert!(start.ranges(now + MAX_PAUSE / 2).is_some());
        assert!(start.ranges(now + MAX_PAUSE).is_none());
    }

    #[test]
    fn quick_scans_of_whole_lanes_are_repeated_at_once() {
        let now = Instant::now();
        let mut start = ScanStart::default();
        start.record_claim(&at(0, 41), true, QUICK_SCAN, now);
        assert!(start.ranges(now).is_none(), "a part of it was for the task that it found");
        start.record_claim(&[], true, QUICK_SCAN, now);
        assert!(start.ranges(now).is_some(), "it took as long and found nothing");
        start.record_claim(&[], true, Duration::ZERO, now);
        assert!(start.ranges(now).is_none());
    }

    #[test]
    fn the_number_of_remembered_positions_is_bounded() {
        let mut start = ScanStart::default();
        for lane in 0..1000 {
            start.record_claim(&in_lane(lane, 0, 1), true, SLOW_SCAN, Instant::now());
            assert!(start.lanes.len() <= MAX_POSITIONS);
        }
    }
}
