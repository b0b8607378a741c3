//! The monotonic clock, which all processes of a machine share.

use nix::time::{ClockId, clock_gettime};

/// Returns the time of the monotonic clock, in microseconds. The worker of this runner reads the same clock, so it
/// can use the times that the runner sends.
pub(crate) fn now_us() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000)
}
