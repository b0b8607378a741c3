//! The inbox of the event loop: everything that happens reaches the monitor as a message here.

use rework_process::Exit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{event::Event, leftovers::Leftovers, worker_handle::WorkerHandle};

/// An event, in some cases with things that the state does not know and the effects keep.
#[derive(Debug)]
pub(crate) enum Message {
    Event(Event),
    Born { worker: i64, domain: String, handle: WorkerHandle },
    Adopted { worker: i64, domain: String, handle: WorkerHandle },
    Ended { worker: i64, exit: Option<Exit>, last_words: String, leftovers: Leftovers },
}

impl From<Event> for Message {
    fn from(event: Event) -> Message {
        Message::Event(event)
    }
}

/// The sending end; every clone leads to the same event loop.
#[derive(Debug, Clone)]
pub(crate) struct Inbox(UnboundedSender<Message>);

impl Inbox {
    /// A new inbox, and the end that the event loop reads.
    pub(crate) fn new() -> (Inbox, UnboundedReceiver<Message>) {
        let (sender, messages) = unbounded_channel();
        (Inbox(sender), messages)
    }

    /// Sends a message. It is dropped if the event loop has ended: then nobody needs it.
    pub(crate) fn send(&self, message: impl Into<Message>) {
        let _ = self.0.send(message.into());
    }

    /// Whether the event loop has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
