//! The request that a run should end, and whether anybody would notice it.
//!
//! An operation that has asked once (`is_aborted`, `aborted`) is trusted to look again and to leave
//! by itself, until the worker's grace is over. One that never asked would only make everybody wait
//! for the end of that grace: its process ends at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The request, for one run.
#[derive(Debug, Default)]
pub(crate) struct Abort {
    watched: AtomicBool,
    requested: AtomicBool,
    reason: OnceLock<String>,
    wakes: Notify,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The operation looks, and will see it.
    Listens,
    /// Nobody ever looked.
    Absent,
}

impl Abort {
    /// Requests it. The first reason stays.
    pub(crate) fn request(&self, reason: &str) -> Listener {
        // A second request finds the reason taken.
        let _ = self.reason.set(reason.to_owned());
        // Sequentially consistent, as is `look`: either it sees the request, or we see that it looked.
        self.requested.store(true, Ordering::SeqCst);
        self.wakes.notify_waiters();
        if self.watched.load(Ordering::SeqCst) { Listener::Listens } else { Listener::Absent }
    }

    /// Whether it was requested; from now on somebody listens.
    pub(crate) fn look(&self) -> bool {
        self.watched.store(true, Ordering::SeqCst);
        self.requested.load(Ordering::SeqCst)
    }

    /// Why, where it was requested.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    /// Whether it was requested, for our own use: nobody listens by this.
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Returns when it is requested.
    pub(crate) async fn wait(&self) {
        // Made before looking, so that a request between the two wakes it.
        let woken = self.wakes.notified();
        if !self.look() {
            woken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_listens_before_somebody_asked() {
        let abort = Abort::default();
        assert!(!abort.requested());
        assert_eq!(abort.request("no longer needed"), Listener::Absent);
        assert!(abort.look());
        assert_eq!(abort.request("again"), Listener::Listens);
        assert_eq!(abort.reason(), Some("no longer needed"));
    }

    #[tokio::test]
    async fn a_request_wakes_who_waits_and_who_comes_late() {
        let abort = std::sync::Arc::new(Abort::default());
        let waiting = tokio::spawn({
            let abort = abort.clone();
            async move { abort.wait().await }
        });
        while !abort.watched.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        abort.request("now");
        waiting.await.unwrap();
        abort.wait().await;
    }
}
