//! The handle by which the monitor reaches a worker: a channel to the task that talks to it.

use rework_wire::worker::ToWorker;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A way to reach one worker.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    commands: UnboundedSender<WorkerCommand>,
    /// The pid of its process; `None` if the process cannot be seen from here.
    pub(crate) pid: Option<i32>,
}

/// A command for the task that talks to a worker.
#[derive(Debug)]
pub(crate) enum WorkerCommand {
    /// Send the worker a message.
    Tell(ToWorker),
    /// Kill its process.
    Kill,
}

impl WorkerHandle {
    /// A new handle, and the end that the task reads.
    pub(crate) fn new(pid: Option<i32>) -> (WorkerHandle, UnboundedReceiver<WorkerCommand>) {
        let (commands, receiver) = unbounded_channel();
        (WorkerHandle { commands, pid }, receiver)
    }

    /// Sends a command. It is dropped if the worker has just ended.
    pub(crate) fn send(&self, command: WorkerCommand) {
        let _ = self.commands.send(command);
    }
}
