//! Keeps which operations this host can run now, as far as this worker knows from their checks (`check.rs`). An answer
//! is valid for a second, so that a check is not run for each of many short runs.

use std::time::Duration;

use rework_core::task::claim::OperationVersion;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

/// How long the answer that an operation is available is valid.
const VALID_FOR: Duration = Duration::from_secs(1);

/// The answers of checks.
#[derive(Debug, Default)]
pub(crate) struct Availability {
    /// The operations that are available, each with the time of the answer.
    available: FxHashMap<OperationVersion, Instant>,
    /// The operations, by id, that this worker has reported as unavailable.
    unavailable: FxHashMap<i64, OperationVersion>,
    /// The number of the last check that was sent to a runner.
    last_number: u32,
}

impl Availability {
    /// Returns whether an operation was available within the last second.
    pub(crate) fn is_known(&self, version: OperationVersion) -> bool {
        self.available.get(&version).is_some_and(|at| at.elapsed() < VALID_FOR)
    }

    /// Records that an operation is available.
    pub(crate) fn record_available(&mut self, version: OperationVersion) {
        self.available.retain(|_, at| at.elapsed() < VALID_FOR);
        self.available.insert(version, Instant::now());
        self.unavailable.remove(&version.operation);
    }

    /// Records that an operation is not available.
    pub(crate) fn record_unavailable(&mut self, version: OperationVersion) {
        self.available.remove(&version);
        self.unavailable.insert(version.operation, version);
    }

    /// Returns the version in which this worker has reported an operation as unavailable. `None` if it has not.
    pub(crate) fn reported(&self, operation: i64) -> Option<OperationVersion> {
        self.unavailable.get(&operation).copied()
    }

    /// Returns the number of the next check that is sent to a runner.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.last_number = self.last_number.wrapping_add(1);
        self.last_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: OperationVersion =
        OperationVersion { operation: 7, version: 1, placement: 3, revision: 2 };

    #[test]
    fn an_answer_is_valid_for_its_version() {
        let mut availability = Availability::default();
        assert!(!availability.is_known(VERSION));
        availability.record_available(VERSION);
        assert!(availability.is_known(VERSION));
        assert!(!availability.is_known(OperationVersion { revision: 3, ..VERSION }));
        assert_eq!(availability.reported(7), None);
        availability.record_unavailable(VERSION);
        assert!(!availability.is_known(VERSION));
        assert_eq!(availability.reported(7), Some(VERSION));
        availability.record_available(VERSION);
        assert_eq!(availability.reported(7), None);
    }

    #[test]
    fn an_old_answer_is_not_valid() {
        let mut availability = Availability::default();
        availability.record_available(VERSION);
        let Some(earlier) = Instant::now().checked_sub(VALID_FOR) else { return };
        availability.available.insert(VERSION, earlier);
        assert!(!availability.is_known(VERSION));
    }
}
