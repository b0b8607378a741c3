//! Waiting for facts.

use std::time::{Duration, Instant};

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < PATIENCE, "waited too long: {what}");
            tokio::time::sleep(LOOK).await;
        }
    }
}
