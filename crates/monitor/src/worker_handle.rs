//! The handle through which the monitor reaches one worker: a channel to the background task that serves the worker
//! (`worker_io.rs`).

use rework_wire::worker::ToWorker;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The handle of one worker.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    commands: UnboundedSender<WorkerCommand>,
    /// The pid of the worker. `None` if the worker was never started.
    pub(crate) pid: Option<i32>,
}

/// A command for the background task of a worker.
#[derive(Debug)]
pub(crate) enum WorkerCommand {
    /// Send a message to the worker.
    Send(ToWorker),
    /// Kill the process of the worker.
    Kill,
}

impl WorkerHandle {
    /// Creates a handle, and the receiving end for the background task.
    pub(crate) fn new(pid: Option<i32>) -> (WorkerHandle, UnboundedReceiver<WorkerCommand>) {
        let (commands, receiver) = unbounded_channel();
        (WorkerHandle { commands, pid }, receiver)
    }

    /// Sends a command. If the worker has just ended, the command is dropped.
    pub(crate) fn send(&self, command: WorkerCommand) {
        let _ = self.commands.send(command);
    }
}
