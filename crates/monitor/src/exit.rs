//! The exit of a monitor: it records its own end, if the database answers in time.

use std::time::Duration;

use rework_core::fleet::monitor;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use crate::{
    cleanup_plan::signal_words,
    effects::Effects,
    event::{Event, Finish},
    inbox::Message,
    options::Ended,
};

/// How long a monitor waits for its own end to be recorded.
const RECORD_EXIT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long it waits after a second signal.
const HURRIED_RECORD_EXIT_TIMEOUT: Duration = Duration::from_millis(300);

/// Records the end of this monitor. A further signal cuts the wait short.
pub(crate) async fn exit(
    effects: &Effects,
    finish: &Finish,
    hurries: bool,
    reexec: bool,
    messages: &mut UnboundedReceiver<Message>,
) -> Ended {
    let id = effects.registration.monitor;
    let reason = match finish {
        Finish::Asked(signal) => signal_words(*signal),
        Finish::LeaseLost => "its lease was taken away".to_owned(),
        Finish::LeaseOver => "the database was silent for too long".to_owned(),
    };
    if let Some(db) = effects.link.now() {
        let patience = if hurries { HURRIED_RECORD_EXIT_TIMEOUT } else { RECORD_EXIT_TIMEOUT };
        let recorded = tokio::select! {
            recorded = timeout(patience, monitor::finish(&db, id, &reason)) => {
                matches!(recorded, Ok(Ok(())))
            }
            () = signal(messages) => false,
        };
        if !recorded {
            tracing::warn!("the end of monitor {id} could not be recorded");
        }
    }
    tracing::info!("monitor {id} ended: {reason}");
    Ended { reason, reexec }
}

async fn signal(messages: &mut UnboundedReceiver<Message>) {
    while let Some(message) = messages.recv().await {
        if matches!(message, Message::Event(Event::Signal(_))) {
            return;
        }
    }
    std::future::pending::<()>().await;
}
