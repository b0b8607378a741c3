//! Leaving: the monitor's own end is recorded, if the database can hear it.

use std::time::Duration;

use rework_core::fleet::monitor;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use crate::{
    closing::signal_words,
    effects::Effects,
    event::{Event, Finish},
    run::{Ended, Message},
};

/// The longest that a monitor waits for its own end to be recorded.
const LAST_WORD: Duration = Duration::from_secs(3);

/// The same after a second signal.
const SHORT_WORD: Duration = Duration::from_millis(300);

/// The last word. A further signal cuts it off.
pub(crate) async fn leave(
    effects: &Effects,
    finish: &Finish,
    hurries: bool,
    again: bool,
    messages: &mut UnboundedReceiver<Message>,
) -> Ended {
    let id = effects.seat.monitor;
    let reason = match finish {
        Finish::Asked(signal) => signal_words(*signal),
        Finish::LeaseLost => "its lease was taken away".to_owned(),
        Finish::LeaseOver => "the database was silent for too long".to_owned(),
    };
    if let Some(db) = effects.link.now() {
        let patience = if hurries { SHORT_WORD } else { LAST_WORD };
        let said = tokio::select! {
            said = timeout(patience, monitor::finish(&db, id, &reason)) => matches!(said, Ok(Ok(()))),
            () = signal(messages) => false,
        };
        if !said {
            tracing::warn!("the end of monitor {id} could not be recorded");
        }
    }
    tracing::info!("monitor {id} ended: {reason}");
    Ended { reason, again }
}

async fn signal(messages: &mut UnboundedReceiver<Message>) {
    while let Some(message) = messages.recv().await {
        if matches!(message, Message::Event(Event::Signal(_))) {
            return;
        }
    }
    std::future::pending::<()>().await;
}
