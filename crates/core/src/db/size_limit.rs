//! The size of statements that may be too large for their deadline: how many rows they read or write at once. This file
//! only calculates.
//!
//! A statement that missed its deadline twice in a row is tried with fewer rows. When it is answered, the next one may
//! have more again.

use std::cell::Cell;

use crate::db::error::{Error, Result};

/// How many times in a row a statement misses its deadline before it is tried with fewer rows. A single miss may have
/// another cause, such as a short outage of the network.
pub const MISSES: u32 = 2;

/// The factor by which a size is lowered.
const LOWERING: usize = 8;

/// The most rows of the next statement of one kind.
#[derive(Debug)]
pub struct SizeLimit {
    /// The most rows if no statement misses its deadline.
    max: usize,
    current: Cell<usize>,
    /// How many deadlines were missed in a row.
    missed: Cell<u32>,
}

impl SizeLimit {
    /// Creates a limit that is not lowered yet.
    pub fn new(max: usize) -> SizeLimit {
        SizeLimit { max, current: Cell::new(max), missed: Cell::new(0) }
    }

    /// Returns the most rows of the next statement: at least 1.
    pub fn get(&self) -> usize {
        self.current.get().max(1)
    }

    /// Records the answer to a statement that had at most `rows` rows. An error that is not a missed deadline changes
    /// nothing.
    pub fn record<T>(&self, rows: usize, answer: &Result<T>) {
        match answer {
            Ok(_) => self.raise(),
            Err(Error::Deadline { .. }) => {
                self.missed.set(self.missed.get().saturating_add(1));
                if self.missed.get() >= MISSES {
                    self.lower(rows);
                }
            }
            Err(_) => {}
        }
    }

    /// Lowers the limit, because a statement with `rows` rows took too long.
    pub fn lower(&self, rows: usize) {
        self.current.set((self.get().min(rows) / LOWERING).max(1));
    }

    /// Doubles the limit, up to its maximum, because a statement was answered in time.
    pub fn raise(&self) {
        self.missed.set(0);
        self.current.set(self.get().saturating_mul(2).min(self.max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSED: Result<()> = Err(Error::Deadline { seconds: 10 });

    #[test]
    fn a_size_is_lowered_after_two_missed_deadlines_in_a_row_and_raised_by_answers() {
        let limit = SizeLimit::new(1000);
        limit.record(1000, &MISSED);
        assert_eq!(limit.get(), 1000, "it may have been the network");
        limit.record(1000, &Ok(()));
        limit.record(1000, &MISSED);
        assert_eq!(limit.get(), 1000, "not twice in a row");
        let mut sizes = Vec::new();
        for _ in 0..5 {
            limit.record(limit.get(), &MISSED);
            sizes.push(limit.get());
        }
        assert_eq!(sizes, [125, 15, 1, 1, 1]);
        for expected in [2, 4, 8] {
            limit.record(1, &Ok(()));
            assert_eq!(limit.get(), expected);
        }
        (0..20).for_each(|_| limit.record(1, &Ok(())));
        assert_eq!(limit.get(), 1000);
    }

    #[test]
    fn a_size_is_lowered_from_that_of_the_statement() {
        let limit = SizeLimit::new(4096);
        limit.record(64, &MISSED);
        limit.record(64, &MISSED);
        assert_eq!(limit.get(), 8);
    }

    #[test]
    fn other_errors_do_not_change_a_size() {
        let limit = SizeLimit::new(1000);
        limit.record(1000, &MISSED);
        limit.record::<()>(1000, &Err(Error::NoRow));
        assert_eq!(limit.get(), 1000);
        limit.record(1000, &MISSED);
        assert_eq!(limit.get(), 125);
    }
}
