//! The inbox of the event loop. Everything that happens reaches the monitor as a message in this channel.

use rework_process::Exit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{event::Event, leftovers::Leftovers, worker_handle::WorkerHandle};

/// An event. Some events come with a handle or leftovers, which the effects keep and the state does not know.
#[derive(Debug)]
pub(crate) enum Message {
    Event(Event),
    Started { worker: i64, domain: String, handle: WorkerHandle },
    Adopted { worker: i64, domain: String, handle: WorkerHandle },
    Ended { worker: i64, exit: Option<Exit>, output_tail: String, leftovers: Leftovers },
}

impl From<Event> for Message {
    fn from(event: Event) -> Message {
        Message::Event(event)
    }
}

/// The sending end of the channel. All clones send to the same event loop.
#[derive(Debug, Clone)]
pub(crate) struct Inbox(UnboundedSender<Message>);

impl Inbox {
    /// Creates an inbox, and the receiving end for the event loop.
    pub(crate) fn new() -> (Inbox, UnboundedReceiver<Message>) {
        let (sender, messages) = unbounded_channel();
        (Inbox(sender), messages)
    }

    /// Sends a message. After the end of the event loop the message is dropped, because nothing needs it any more.
    pub(crate) fn send(&self, message: impl Into<Message>) {
        let _ = self.0.send(message.into());
    }

    /// Returns whether the event loop has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
