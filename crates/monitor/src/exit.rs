//! The exit of a monitor: it records its own end, if the database replies in time.

use std::time::Duration;

use rework_core::fleet::monitor;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use crate::{
    cleanup_plan::describe_signal,
    effects::Effects,
    event::{Event, Finish},
    inbox::Message,
    options::MonitorEnd,
};

/// How long a monitor waits for its own end to be recorded. If it is not recorded, the next monitor of the host finds
/// this one dead.
const RECORD_EXIT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a monitor waits for its own end to be recorded after a second signal, when the user
/// does not want to wait.
const HURRIED_RECORD_EXIT_TIMEOUT: Duration = Duration::from_millis(300);

/// Records the end of this monitor. A further signal ends the waiting at once.
pub(crate) async fn exit(
    effects: &Effects,
    finish: &Finish,
    is_hurried: bool,
    reexec: bool,
    messages: &mut UnboundedReceiver<Message>,
) -> MonitorEnd {
    let id = effects.registration.monitor;
    let reason = match finish {
        Finish::Signal(signal) => describe_signal(*signal),
        Finish::LeaseLost => "its lease was taken away".to_owned(),
        Finish::LeaseExpired => "its lease could not be renewed in time".to_owned(),
        Finish::WentBack => "the database has lost its last transactions".to_owned(),
    };
    if let Some(db) = effects.link.current() {
        let record_timeout =
            if is_hurried { HURRIED_RECORD_EXIT_TIMEOUT } else { RECORD_EXIT_TIMEOUT };
        let recorded = tokio::select! {
            recorded = timeout(record_timeout, monitor::finish(&db, id, &reason)) => {
                matches!(recorded, Ok(Ok(())))
            }
            () = wait_for_signal(messages) => false,
        };
        if !recorded {
            tracing::warn!("cannot record the end of monitor {id}");
        }
    }
    tracing::info!("monitor {id} ended: {reason}");
    MonitorEnd { reason, reexec }
}

async fn wait_for_signal(messages: &mut UnboundedReceiver<Message>) {
    while let Some(message) = messages.recv().await {
        if matches!(message, Message::Event(Event::Signal(_))) {
            return;
        }
    }
    std::future::pending::<()>().await;
}
