//! Sends one poll to the database. `state/poll.rs` decides what a poll contains and what follows from its reply.

use rework_core::{
    db::{connect::Db, error::Error},
    fleet::monitor_poll::{PollRequest, poll},
};
use rework_process::boot_time;

use crate::{
    event::{CompletedPoll, Event},
    inbox::Inbox,
};

/// Sends a poll, waits for its end, and sends that to the inbox. `completed` has what is known before: what the request
/// contains, and the time at which it is sent.
pub(crate) async fn send_poll(
    db: &Db,
    request: &PollRequest,
    mut completed: CompletedPoll,
    inbox: &Inbox,
) {
    let answer = poll(db, request).await;
    completed.received_at = boot_time();
    match answer {
        Ok(reply) => completed.reply = Some(reply),
        Err(Error::Deadline { .. }) => inbox.send(Event::PollMissedDeadline),
        Err(error) if error.is_connection() => {}
        Err(error) => completed.refusal = Some(error.to_string()),
    }
    inbox.send(Event::Polled(Box::new(completed)));
}
