//! The number of tasks that one claim takes: the shorter an operation's runs were so far, the more.
//! This file only calculates. Three more limits apply: the free slots for started runs, one for each
//! run that the worker holds, and fewer tasks after claims that missed their deadline (both in
//! `writer/claim.rs`), and 128 KiB of inputs and metadata in one claim (`migrations/V13__claim.sql`).

use std::time::Duration;

use rework_core::task::claim::BatchLimits;
use rustc_hash::FxHashMap;

/// A run that takes at least this long counts as long: the tasks that wait behind it are requeued.
pub(crate) const LONG_RUN: Duration = Duration::from_millis(100);

/// The expected duration of all tasks of one claim. It bounds how long the last of them waits in this worker while
/// other workers may be idle.
const MAX_BATCH_DURATION: Duration = Duration::from_millis(25);

/// The number of runs after which the mean duration of an operation is used.
const MIN_RUNS: u32 = 3;

/// The factor by which a claim may be larger than the one before it.
const MAX_GROWTH: u32 = 4;

/// The weight of the last run in the moving average of durations.
const LAST_RUN_WEIGHT: f64 = 0.2;

/// The number of operations that are remembered. When it is exceeded, all are forgotten.
const MAX_REMEMBERED: usize = 256;

/// The measured durations of the operations of one worker, and the size of the next claim that follows from them.
#[derive(Debug)]
pub(crate) struct BatchSizes {
    /// The most tasks of one claim (option `--batch`).
    max_size: u32,
    operations: FxHashMap<i64, OperationStats>,
}

#[derive(Debug)]
struct OperationStats {
    runs: u32,
    mean_seconds: f64,
    /// The most tasks of the next claim. The next runs may be longer than the mean, so it is 1 at first and after a
    /// long run ([`LONG_RUN`]). Once [`MIN_RUNS`] runs are measured, each full claim multiplies it by [`MAX_GROWTH`].
    size_limit: u32,
    /// Whether runs of this operation leave processes behind, so that they must run one at a time.
    leaves_processes: bool,
}

impl OperationStats {
    /// Returns how many tasks one claim should take.
    fn size(&self) -> u32 {
        if self.runs < MIN_RUNS || self.leaves_processes {
            return 1;
        }
        let fit = (MAX_BATCH_DURATION.as_secs_f64() / self.mean_seconds.max(1e-6)) as u32;
        fit.min(self.size_limit).max(1)
    }

    /// Returns whether two runs together are short enough to be one batch, so that a task may wait
    /// behind another.
    fn is_short(&self) -> bool {
        let two_runs = Duration::from_secs_f64(2.0 * self.mean_seconds.clamp(0.0, 1e6));
        self.runs >= MIN_RUNS && !self.leaves_processes && two_runs <= MAX_BATCH_DURATION
    }
}

impl BatchSizes {
    /// Creates statistics without any measurement; one claim takes at most `max_size` tasks.
    pub(crate) fn new(max_size: u32) -> BatchSizes {
        BatchSizes { max_size, operations: FxHashMap::default() }
    }

    /// Records that a run of this operation took `duration`.
    pub(crate) fn record_duration(&mut self, operation: i64, duration: Duration) {
        if self.operations.len() >= MAX_REMEMBERED && !self.operations.contains_key(&operation) {
            self.operations.clear();
        }
        let seconds = duration.as_secs_f64();
        let stats = self.operations.entry(operation).or_insert(OperationStats {
            runs: 0,
            mean_seconds: seconds,
            size_limit: 1,
            leaves_processes: false,
        });
        stats.runs = stats.runs.saturating_add(1);
        stats.mean_seconds += LAST_RUN_WEIGHT * (seconds - stats.mean_seconds);
        if duration >= LONG_RUN {
            stats.size_limit = 1;
        }
    }

    /// Forgets everything about an operation.
    pub(crate) fn forget(&mut self, operation: i64) {
        self.operations.remove(&operation);
    }

    /// Returns whether runs of this operation leave processes behind, so that they must run one at a
    /// time.
    pub(crate) fn leaves_processes(&self, operation: i64) -> bool {
        self.operations.get(&operation).is_some_and(|stats| stats.leaves_processes)
    }

    /// Records that runs of this operation leave processes behind.
    pub(crate) fn set_leaves_processes(&mut self, operation: i64) {
        if let Some(stats) = self.operations.get_mut(&operation) {
            stats.leaves_processes = true;
        }
    }

    /// Records that one claim took `count` tasks of this operation. Returns whether the claim was full, so that more
    /// tasks are probably ready, and a further task may wait behind the claimed ones.
    pub(crate) fn record_claim(&mut self, operation: i64, count: usize) -> bool {
        let Some(stats) = self.operations.get_mut(&operation) else { return false };
        let full = count >= stats.size().min(self.max_size) as usize;
        if full && stats.runs >= MIN_RUNS {
            stats.size_limit = (stats.size_limit * MAX_GROWTH).min(self.max_size);
        }
        full && (count > 1 || (self.max_size == 1 && stats.is_short()))
    }

    /// Returns whether one claim never takes more than one task (`--batch 1`).
    pub(crate) fn claims_one_by_one(&self) -> bool {
        self.max_size == 1
    }

    /// Returns how many tasks of each operation the next claim may take. Operations that are not listed have a limit of
    /// 1.
    pub(crate) fn batches(&self) -> BatchLimits {
        let size = |stats: &OperationStats| stats.size().min(self.max_size);
        let sizes = self.operations.iter().map(|(id, stats)| (*id, size(stats)));
        let (operations, sizes) = sizes
            .filter(|(_, size)| *size > 1)
            .map(|(operation, size)| (operation, size as i32))
            .unzip();
        BatchLimits { operations, sizes, ..BatchLimits::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = 1000;

    fn size_of(sizes: &BatchSizes, operation: i64) -> i32 {
        let batches = sizes.batches();
        let index = batches.operations.iter().position(|id| *id == operation);
        index.map_or(1, |index| batches.sizes[index])
    }

    #[test]
    fn short_tasks_are_claimed_in_growing_batches() {
        let mut sizes = BatchSizes::new(MAX);
        assert_eq!(sizes.batches(), BatchLimits::default());
        for _ in 0..MIN_RUNS {
            assert_eq!(size_of(&sizes, 7), 1);
            sizes.record_duration(7, Duration::from_micros(20));
            assert!(!sizes.record_claim(7, 1), "one task is not a batch");
        }
        let mut requested = Vec::new();
        for _ in 0..12 {
            requested.push(size_of(&sizes, 7));
            sizes.record_claim(7, size_of(&sizes, 7) as usize);
        }
        assert_eq!(requested[..4], [4, 16, 64, 256]);
        assert_eq!(requested.last(), Some(&(MAX as i32)));
        assert!(!sizes.record_claim(7, 3), "fewer than requested: the queue has no more");
    }

    #[test]
    fn a_batch_takes_no_longer_than_the_maximum() {
        let mut sizes = BatchSizes::new(MAX);
        for _ in 0..20 {
            sizes.record_duration(7, Duration::from_millis(5));
            sizes.record_duration(8, Duration::from_millis(30));
            for operation in [7, 8] {
                sizes.record_claim(operation, size_of(&sizes, operation) as usize);
            }
        }
        assert_eq!((size_of(&sizes, 7), size_of(&sizes, 8)), (5, 1));
    }

    #[test]
    fn no_batch_is_larger_than_allowed() {
        let mut sizes = BatchSizes::new(1);
        for _ in 0..20 {
            sizes.record_duration(7, Duration::from_micros(20));
            sizes.record_claim(7, 1);
        }
        assert_eq!(sizes.batches(), BatchLimits::default());
    }

    #[test]
    fn with_a_batch_of_one_only_short_tasks_are_prefetched() {
        let mut sizes = BatchSizes::new(1);
        for run in 1..=10 {
            sizes.record_duration(7, Duration::from_millis(5));
            sizes.record_duration(8, Duration::from_millis(15));
            assert_eq!(sizes.record_claim(7, 1), run >= MIN_RUNS);
            assert!(!sizes.record_claim(8, 1));
        }
        sizes.record_duration(7, LONG_RUN);
        assert!(!sizes.record_claim(7, 1));
    }

    #[test]
    fn one_long_task_ends_the_batches_of_its_operation() {
        let mut sizes = BatchSizes::new(MAX);
        for _ in 0..10 {
            sizes.record_duration(7, Duration::from_micros(20));
            sizes.record_claim(7, size_of(&sizes, 7) as usize);
        }
        assert!(size_of(&sizes, 7) > 1);
        sizes.record_duration(7, LONG_RUN);
        assert_eq!(size_of(&sizes, 7), 1);
    }
}
