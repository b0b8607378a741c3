//! The length of a lease, and the times that follow from it. A lease is a row in the database that
//! a monitor renews, and on which its workers depend. The rules are in `core/src/lease`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time since this machine booted, including time in sleep. Unlike the wall clock it never jumps.
pub type BootTime = Duration;

/// The default length of a lease.
pub const DEFAULT_LENGTH: Duration = Duration::from_secs(20);

/// The length of a lease, and the times that follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTerms {
    /// The length of the lease.
    pub length: Duration,
}

impl Default for LeaseTerms {
    fn default() -> LeaseTerms {
        LeaseTerms { length: DEFAULT_LENGTH }
    }
}

impl LeaseTerms {
    /// How often the holder, the process that depends on the lease, renews it: five times within
    /// its length, so that a few renewals may fail.
    pub fn renewal_interval(self) -> Duration {
        self.length / 5
    }

    /// How long a process lives after it sent the last renewal that was answered. It is less than
    /// [`dead_after`](LeaseTerms::dead_after), so that the process has died when others act on a dead lease.
    pub fn self_kill_after(self) -> Duration {
        self.length * 4 / 5
    }

    /// A busy worker that receives no renewal for this long creates a lease of its own.
    pub fn own_lease_after(self) -> Duration {
        self.length * 2 / 5
    }

    /// An observer, a monitor that watches the leases of others, declares a lease dead if its
    /// counter of renewals has not changed for this long. A tenth more than the length covers
    /// clocks that run at different rates.
    pub fn dead_after(self) -> Duration {
        self.length * 11 / 10
    }

    /// The longest time that a statement about a lease may take, so that it can be repeated before the lease ends.
    pub fn statement_timeout(self) -> Duration {
        self.length / 4
    }

    /// How often an observer polls the leases of others.
    pub fn poll_interval(self) -> Duration {
        (self.length / 20).min(Duration::from_secs(1))
    }

    /// If the time between two polls is longer than this, the observer was suspended or cut off. Then the time does not
    /// count as evidence that a lease is dead.
    pub fn max_poll_gap(self) -> Duration {
        self.length * 3 / 20
    }
}
