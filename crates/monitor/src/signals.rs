//! The signals by which a monitor is asked to end (SIGTERM, SIGINT) or to execute itself anew (SIGHUP, see
//! `state/drain/reload.rs`).

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{event::Event, inbox::Inbox};

/// The handled signals.
#[derive(Debug)]
pub(crate) struct Signals([(i32, Signal); 3]);

impl Signals {
    /// Handles the signals from now on, so that they no longer end this process.
    pub(crate) fn handle() -> io::Result<Signals> {
        let of = |kind: SignalKind| io::Result::Ok((kind.as_raw_value(), signal(kind)?));
        let [terminate, interrupt, hangup] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        Ok(Signals([of(terminate)?, of(interrupt)?, of(hangup)?]))
    }

    /// Waits for the next signal and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        let [first, second, third] = &mut self.0;
        tokio::select! {
            _ = first.1.recv() => first.0,
            _ = second.1.recv() => second.0,
            _ = third.1.recv() => third.0,
        }
    }

    /// Sends every signal to the event loop.
    pub(crate) async fn pass_on(mut self, inbox: Inbox) {
        loop {
            let signal = self.next().await;
            inbox.send(Event::Signal(signal));
        }
    }
}
