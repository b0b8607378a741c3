//! The abort request of one run, and whether the operation's code checks for it.
//!
//! An operation that has checked once (`is_aborted`, `aborted`) is expected to check again and to return by itself
//! within the worker's grace period. An operation that never checked cannot notice the request. Waiting for the end
//! of the grace period would be useless, so its process ends at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The abort request of one run.
#[derive(Debug, Default)]
pub(crate) struct Abort {
    /// Whether the operation has checked for a request at least once.
    checked: AtomicBool,
    requested: AtomicBool,
    reason: OnceLock<String>,
    /// Wakes the futures that [`Abort::wait`] returned.
    notify: Notify,
}

/// Whether an operation can be expected to react to an abort request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cooperation {
    /// The operation has checked for aborts, so it is given the time to return by itself.
    Yes,
    /// The operation has never checked for aborts, so it would not notice the request.
    No,
}

impl Abort {
    /// Requests the abort, and returns whether the operation can be expected to react. The first reason is kept.
    pub(crate) fn request(&self, reason: &str) -> Cooperation {
        // `set` fails if an earlier request has already set a reason: that one is kept.
        let _ = self.reason.set(reason.to_owned());
        // Both here and in `check` the order is sequentially consistent. So either `check` sees this request, or we
        // see that `check` was called.
        self.requested.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
        if self.checked.load(Ordering::SeqCst) { Cooperation::Yes } else { Cooperation::No }
    }

    /// Returns whether an abort was requested, and records that the operation checks for aborts.
    pub(crate) fn check(&self) -> bool {
        self.checked.store(true, Ordering::SeqCst);
        self.requested.load(Ordering::SeqCst)
    }

    /// Returns the reason of the request. `None` if no abort was requested.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    /// Returns whether an abort was requested, for the SDK itself. This does not count as a check by the operation.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Waits until an abort is requested.
    pub(crate) async fn wait(&self) {
        // Created before the check, so that a request between the check and the `await` wakes this future.
        let notified = self.notify.notified();
        if !self.check() {
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_cooperates_once_it_has_checked() {
        let abort = Abort::default();
        assert!(!abort.is_requested());
        assert_eq!(abort.request("no longer needed"), Cooperation::No);
        assert!(abort.check());
        assert_eq!(abort.request("again"), Cooperation::Yes);
        assert_eq!(abort.reason(), Some("no longer needed"));
    }

    #[tokio::test]
    async fn a_request_wakes_earlier_and_later_waiters() {
        let abort = std::sync::Arc::new(Abort::default());
        let waiting = tokio::spawn({
            let abort = abort.clone();
            async move { abort.wait().await }
        });
        while !abort.checked.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        abort.request("now");
        waiting.await.unwrap();
        abort.wait().await;
    }
}
