//! The knowledge of this process about the servers of a DSN. All clones of a DSN share it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::db::outage::server_bit;

/// The results of earlier connections.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// The servers to which the last connection was direct, as a set of bits by their index.
    direct: AtomicU64,
    /// The index of the server that suited last.
    chosen: AtomicUsize,
}

impl Learned {
    /// Returns the servers to which the last connection was direct, as a set of bits by their index.
    pub(super) fn direct(&self) -> u64 {
        self.direct.load(Relaxed)
    }

    /// Adds servers that another process has found to be direct.
    pub(super) fn add_direct(&self, servers: u64) {
        self.direct.fetch_or(servers, Relaxed);
    }

    /// Records whether a connection to a server was direct.
    pub(super) fn record(&self, server: usize, is_direct: bool) {
        let bit = server_bit(server).unwrap_or(0);
        if is_direct {
            self.direct.fetch_or(bit, Relaxed);
        } else {
            self.direct.fetch_and(!bit, Relaxed);
        }
    }

    /// Returns the server that suited last; at first the first one.
    pub(super) fn chosen(&self) -> usize {
        self.chosen.load(Relaxed)
    }

    /// Records the server that suits.
    pub(super) fn choose(&self, server: usize) {
        self.chosen.store(server, Relaxed);
    }
}
