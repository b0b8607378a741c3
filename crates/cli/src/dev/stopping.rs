//! The signals that ask `rework dev` to stop: Ctrl-C, SIGTERM, and the terminal that was closed.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for them. What came while nobody waited is remembered.
#[derive(Debug)]
pub(crate) struct Stopping {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stopping {
    /// From now on none of them ends this process by itself.
    pub(crate) fn listen() -> std::io::Result<Stopping> {
        Ok(Stopping {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
            _ = self.hangup.recv() => (),
        }
    }
}
