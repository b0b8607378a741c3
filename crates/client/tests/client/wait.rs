//! Waits until a condition is true.

use std::time::{Duration, Instant};

/// Time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Interval at which a condition is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` is true. Panics with `description` after [`TIMEOUT`].
#[track_caller]
pub(crate) fn until(
    description: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    let description = description.to_owned();
    async move {
        let started = Instant::now();
        while !condition().await {
            assert!(started.elapsed() < TIMEOUT, "waited too long: {description}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
