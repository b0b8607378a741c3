//! Receives the signals that stop `rework dev`: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (the terminal was closed).

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A listener for the signals. A signal that arrives while nobody waits ends the next call of
/// `recv` at once.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// Starts listening. From now on, these signals do not end the process by themselves.
    pub(crate) fn listen() -> std::io::Result<StopSignals> {
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
            _ = self.hangup.recv() => (),
        }
    }
}
