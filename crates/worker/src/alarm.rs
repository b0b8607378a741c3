//! A timer that is put off again and again. That costs nothing, where to make a new one, due before all
//! others, wakes the reactor by a call of the kernel and has everything polled once more.

use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// The timer.
#[derive(Debug)]
pub(crate) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    pub(crate) fn new() -> Alarm {
        Alarm(Box::pin(sleep_until(Instant::now())))
    }

    /// Until that moment. May be dropped at any point.
    pub(crate) async fn until(&mut self, at: Instant) {
        if self.0.deadline() != at {
            self.0.as_mut().reset(at);
        }
        self.0.as_mut().await;
    }
}
