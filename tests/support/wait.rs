//! Waits for conditions by polling them.
//!
//! No other file of the tests sleeps (`tests/tidy.rs` checks this): a test that waits for a condition is as fast
//! as the machine allows and does not fail on a slow machine.

use std::time::{Duration, Instant};

/// Time between two evaluations of a condition. Short, because this delay is added to every wait of a test.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How long a test waits for something that should happen. Most waits take less than a second. The limit is
/// higher, because all tests run at the same time and share the processor.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a test checks that something does not happen. A claim or a notification takes a few
/// milliseconds and a monitor polls once a second, so a wrong implementation would fail within this time.
pub(crate) const OBSERVATION_TIME: Duration = Duration::from_millis(1500);

/// Waits until `condition` returns true.
///
/// Panics after `TIMEOUT`. The message contains `what`, the condition in words, and the text that `describe` returns.
#[track_caller]
pub(crate) fn until(
    what: &str,
    describe: impl FnOnce() -> String,
    mut condition: impl FnMut() -> bool,
) {
    until_some(what, TIMEOUT, describe, || condition().then_some(()));
}

/// Waits until `poll` returns a value, and returns this value.
///
/// Panics after `timeout`. The message contains `what`, the condition in words, and the text that `describe` returns.
#[track_caller]
pub(crate) fn until_some<T>(
    what: &str,
    timeout: Duration,
    describe: impl FnOnce() -> String,
    mut poll: impl FnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        let waited = started.elapsed();
        assert!(waited < timeout, "waited {waited:.1?} for: {what}\n{}", describe());
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Asserts that `condition` stays true for `time`.
///
/// This always takes the whole `time`, and it cannot prove that the condition stays true later. Where a test can
/// wait for another condition instead, use `until`.
#[track_caller]
pub(crate) fn assert_stays_true(what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < time {
        assert!(condition(), "no longer true after {:.1?}: {what}", started.elapsed());
        std::thread::sleep(POLL_INTERVAL * 10);
    }
}

/// Sleeps for `time`. Only for tests that interrupt something at an arbitrary moment, or in which a state, for example
/// an outage, must last for some time.
pub(crate) fn let_time_pass(time: Duration) {
    std::thread::sleep(time);
}
