//! How many tasks of an operation are claimed at once: more, the shorter they have proved. Pure. Two more limits hold: the free
//! slots of the worker (`writer/claim.rs`), and 128 KiB of inputs (`migrations/V13__claim.sql`).

use std::time::Duration;

use rework_core::task::claim::Batches;
use rustc_hash::FxHashMap;

/// A task in hand that takes so long is long: what waits behind it goes back.
pub(crate) const LONG: Duration = Duration::from_millis(100);

/// What is claimed at once should take no longer than this.
const BATCH: Duration = Duration::from_millis(25);

/// Runs after which the mean duration of an operation is believed.
const PROVED: u32 = 3;

/// How much larger a claim may be than the one before it.
const GROWTH: u32 = 4;

/// How much the last run counts in the mean.
const WEIGHT: f64 = 0.2;

/// Operations that are remembered; past it, all are forgotten.
const MAX_REMEMBERED: usize = 256;

/// How long the tasks of a worker's operations take.
#[derive(Debug)]
pub(crate) struct BatchSizes {
    /// Most tasks of one claim.
    most: u32,
    operations: FxHashMap<i64, Measured>,
}

#[derive(Debug)]
struct Measured {
    runs: u32,
    mean_seconds: f64,
    /// Grows from one claim to the next: a mean says nothing of what comes.
    allowed: u32,
    /// They leave processes.
    alone: bool,
}

impl Measured {
    fn fitting(&self) -> u32 {
        if self.runs < PROVED || self.alone {
            return 1;
        }
        let fit = (BATCH.as_secs_f64() / self.mean_seconds.max(1e-6)) as u32;
        fit.min(self.allowed).max(1)
    }

    /// Whether one may wait behind another.
    fn is_short(&self) -> bool {
        let two = Duration::from_secs_f64(2.0 * self.mean_seconds.clamp(0.0, 1e6));
        self.runs >= PROVED && !self.alone && two <= BATCH
    }
}

impl BatchSizes {
    /// Nothing is known yet.
    pub(crate) fn new(most: u32) -> BatchSizes {
        BatchSizes { most, operations: FxHashMap::default() }
    }

    /// A run of this operation took so long.
    pub(crate) fn ran(&mut self, operation: i64, took: Duration) {
        if self.operations.len() >= MAX_REMEMBERED && !self.operations.contains_key(&operation) {
            self.operations.clear();
        }
        let seconds = took.as_secs_f64();
        let measured = self.operations.entry(operation).or_insert(Measured {
            runs: 0,
            mean_seconds: seconds,
            allowed: 1,
            alone: false,
        });
        measured.runs = measured.runs.saturating_add(1);
        measured.mean_seconds += WEIGHT * (seconds - measured.mean_seconds);
        if took >= LONG {
            measured.allowed = 1;
        }
    }

    /// Whether runs of this operation leave processes behind, so that they run one at a time.
    pub(crate) fn is_alone(&self, operation: i64) -> bool {
        self.operations.get(&operation).is_some_and(|measured| measured.alone)
    }

    /// The runs of this operation are not to follow one another.
    pub(crate) fn runs_alone(&mut self, operation: i64) {
        if let Some(measured) = self.operations.get_mut(&operation) {
            measured.alone = true;
        }
    }

    /// So many tasks of this operation were claimed at once. True: as many as were asked for, so
    /// that there may be more.
    pub(crate) fn claimed(&mut self, operation: i64, count: usize) -> bool {
        let Some(measured) = self.operations.get_mut(&operation) else { return false };
        let full = count >= measured.fitting().min(self.most) as usize;
        if full && measured.runs >= PROVED {
            measured.allowed = (measured.allowed * GROWTH).min(self.most);
        }
        full && (count > 1 || (self.most == 1 && measured.is_short()))
    }

    /// Whether no more than one is claimed at once, whatever it is.
    pub(crate) fn is_one_by_one(&self) -> bool {
        self.most == 1
    }

    /// What to claim at once.
    pub(crate) fn batches(&self) -> Batches {
        let most = |measured: &Measured| measured.fitting().min(self.most);
        let several = self.operations.iter().map(|(id, measured)| (*id, most(measured)));
        let (short, most) =
            several.filter(|(_, most)| *most > 1).map(|(o, m)| (o, m as i32)).unzip();
        Batches { short, most, sole: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 1000;

    fn most(sizes: &BatchSizes, operation: i64) -> i32 {
        let batches = sizes.batches();
        let at = batches.short.iter().position(|short| *short == operation);
        at.map_or(1, |at| batches.most[at])
    }

    #[test]
    fn what_has_proved_short_is_claimed_in_growing_batches() {
        let mut sizes = BatchSizes::new(MOST);
        assert_eq!(sizes.batches(), Batches::default());
        for _ in 0..PROVED {
            assert_eq!(most(&sizes, 7), 1);
            sizes.ran(7, Duration::from_micros(20));
            assert!(!sizes.claimed(7, 1), "one is no batch");
        }
        let mut asked = Vec::new();
        for _ in 0..12 {
            asked.push(most(&sizes, 7));
            sizes.claimed(7, most(&sizes, 7) as usize);
        }
        assert_eq!(asked[..4], [4, 16, 64, 256]);
        assert_eq!(asked.last(), Some(&(MOST as i32)));
        assert!(!sizes.claimed(7, 3), "fewer than asked for: there is no more");
    }

    #[test]
    fn a_batch_takes_no_longer_than_it_should() {
        let mut sizes = BatchSizes::new(MOST);
        for _ in 0..20 {
            sizes.ran(7, Duration::from_millis(5));
            sizes.ran(8, Duration::from_millis(30));
            for operation in [7, 8] {
                sizes.claimed(operation, most(&sizes, operation) as usize);
            }
        }
        assert_eq!((most(&sizes, 7), most(&sizes, 8)), (5, 1));
    }

    #[test]
    fn no_batch_is_larger_than_allowed() {
        let mut sizes = BatchSizes::new(1);
        for _ in 0..20 {
            sizes.ran(7, Duration::from_micros(20));
            sizes.claimed(7, 1);
        }
        assert_eq!(sizes.batches(), Batches::default());
    }

    #[test]
    fn one_by_one_only_what_is_short_is_claimed_ahead() {
        let mut sizes = BatchSizes::new(1);
        for run in 1..=10 {
            sizes.ran(7, Duration::from_millis(5));
            sizes.ran(8, Duration::from_millis(15));
            assert_eq!(sizes.claimed(7, 1), run >= PROVED);
            assert!(!sizes.claimed(8, 1));
        }
        sizes.ran(7, LONG);
        assert!(!sizes.claimed(7, 1));
    }

    #[test]
    fn one_long_task_ends_the_batches_of_its_operation() {
        let mut sizes = BatchSizes::new(MOST);
        for _ in 0..10 {
            sizes.ran(7, Duration::from_micros(20));
            sizes.claimed(7, most(&sizes, 7) as usize);
        }
        assert!(most(&sizes, 7) > 1);
        sizes.ran(7, LONG);
        assert_eq!(most(&sizes, 7), 1);
    }
}
