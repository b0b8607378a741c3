//! The signals that a monitor handles. SIGTERM and SIGINT request its end. SIGHUP requests it to
//! execute its program again (`state/drain/reload.rs`).

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{event::Event, inbox::Inbox};

/// The streams of the handled signals, each with its number.
#[derive(Debug)]
pub(crate) struct Signals([(i32, Signal); 3]);

impl Signals {
    /// Starts to handle the signals. From now on they do not kill this process.
    pub(crate) fn handle() -> io::Result<Signals> {
        let stream = |kind: SignalKind| io::Result::Ok((kind.as_raw_value(), signal(kind)?));
        let [terminate, interrupt, hangup] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        Ok(Signals([stream(terminate)?, stream(interrupt)?, stream(hangup)?]))
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
    pub(crate) async fn forward(mut self, inbox: Inbox) {
        loop {
            let signal = self.next().await;
            inbox.send(Event::Signal(signal));
        }
    }
}
