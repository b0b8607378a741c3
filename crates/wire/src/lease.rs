//! How long a lease is, and what follows from that: a monitor tells its worker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment of this machine: since its boot, the time of sleep included.
pub type Moment = Duration;

/// The length of leases where nobody says otherwise.
pub const LENGTH: Duration = Duration::from_secs(20);

/// How long a lease is, and what follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Its length.
    pub length: Duration,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { length: LENGTH }
    }
}

impl Terms {
    /// How often it is renewed.
    pub fn renew_every(self) -> Duration {
        self.length / 5
    }

    /// From the sending of the last renewal that was answered to the death of who lives by it.
    pub fn self_kill(self) -> Duration {
        self.length * 4 / 5
    }

    /// Without a renewal for so long, a busy worker makes a lease of its own.
    pub fn silence(self) -> Duration {
        self.length * 2 / 5
    }

    /// A lease that has not moved for so long is dead.
    pub fn dead_after(self) -> Duration {
        self.length * 11 / 10
    }

    /// The longest that a statement may take on which a lease depends: another attempt must come in time.
    pub fn deadline(self) -> Duration {
        self.length / 4
    }

    /// How often leases are looked at.
    pub fn look_every(self) -> Duration {
        (self.length / 20).min(Duration::from_secs(1))
    }

    /// When two looks lie farther apart than this, the time between them is no evidence.
    pub fn longest_gap(self) -> Duration {
        self.length * 3 / 20
    }
}
