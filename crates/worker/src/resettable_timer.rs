//! A timer that is reset to a new time instead of being created again. To reset it to a later time is cheap. A new
//! timer that is due before all others wakes tokio's reactor by a system call and causes another poll of every future.

use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that can be awaited again and again.
#[derive(Debug)]
pub(crate) struct ResettableTimer(Pin<Box<Sleep>>);

impl ResettableTimer {
    pub(crate) fn new() -> ResettableTimer {
        ResettableTimer(Box::pin(sleep_until(Instant::now())))
    }

    /// Waits until `at`. Cancel safe.
    pub(crate) async fn until(&mut self, at: Instant) {
        if self.0.deadline() != at {
            self.0.as_mut().reset(at);
        }
        self.0.as_mut().await;
    }
}
