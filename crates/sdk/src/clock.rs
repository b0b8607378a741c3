//! The clock that all processes of a machine share.

use nix::time::{ClockId, clock_gettime};

/// Microseconds since some moment, the same for everybody until the machine starts anew.
pub(crate) fn now_us() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000)
}
