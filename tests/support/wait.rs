//! Waiting for facts. The only place where tests sleep: between two looks.

use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Long enough for anything that happens at all, on a machine with other work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// For what must not happen: far longer than it would take to happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(1500);

/// Waits until it is so. Where it does not come, panics with what was awaited and what `describe`
/// says of the scene.
#[track_caller]
pub(crate) fn until(
    what: &str,
    describe: impl FnOnce() -> String,
    mut is_so: impl FnMut() -> bool,
) {
    until_some(what, PATIENCE, describe, || is_so().then_some(()));
}

/// Waits until there is one, at most for so long.
#[track_caller]
pub(crate) fn until_some<T>(
    what: &str,
    patience: Duration,
    describe: impl FnOnce() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        let waited = begun.elapsed();
        assert!(waited < patience, "waited {waited:.1?} for: {what}\n{}", describe());
        std::thread::sleep(LOOK);
    }
}

/// Looks for so long that it stays so: for what must not happen. It says only that it did not
/// happen in this time; where a fact can be waited for instead, wait for that one.
#[track_caller]
pub(crate) fn stays(what: &str, time: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        assert!(is_so(), "no longer so after {:.1?}: {what}", begun.elapsed());
        std::thread::sleep(LOOK * 10);
    }
}

/// Lets time pass: for who aims at a moment, and is served by whichever it hits.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}
