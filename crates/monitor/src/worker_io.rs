//! The input and output of one worker. Its messages go to the event loop, and commands of the monitor go to the worker,
//! until its process has ended.

use std::{io, time::Duration};

use nix::sys::signal::Signal;
use rework_process::{Child, Exit, Identity};
use rework_wire::{
    frame_socket::FrameSocket,
    worker::{FromWorker, ToWorker},
};
use tokio::{
    net::unix::pipe,
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    event::Event,
    inbox::{Inbox, Message},
    leftovers::Leftovers,
    output_tail::OutputTail,
    started_runs::StartedRuns,
    worker_handle::WorkerCommand,
};

/// How long a worker may live after it closed its control socket. A normal exit takes less.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for each further message or output of a dead worker. Everything that it sent is already in the
/// socket or the pipe, so the timeout is only a safeguard.
const READ_REMAINING_TIMEOUT: Duration = Duration::from_millis(200);

/// A worker whose process has just been started.
#[derive(Debug)]
pub(crate) struct StartedWorker {
    pub(crate) worker: i64,
    pub(crate) child: Child,
    pub(crate) control: FrameSocket,
    /// The reading end of the worker's stdout and stderr.
    pub(crate) output: pipe::Receiver,
    pub(crate) started_runs: StartedRuns,
    pub(crate) leftovers: Leftovers,
}

/// Serves a worker until its process has ended, and then sends [`Message::Ended`].
pub(crate) async fn serve(
    mut started: StartedWorker,
    mut commands: UnboundedReceiver<WorkerCommand>,
    inbox: Inbox,
) {
    let mut tail = OutputTail::default();
    let exit = wait_for_exit(&mut started, &mut commands, &mut tail, &inbox).await;
    let StartedWorker { worker, mut control, mut output, started_runs, mut leftovers, .. } =
        started;
    let limit = READ_REMAINING_TIMEOUT;
    while let Ok(Some(message)) = timeout(limit, receive(worker, &mut control)).await {
        inbox.send(Event::WorkerMessage(worker, message));
    }
    while let Ok(true) = timeout(limit, copy_output(&mut output, &mut tail)).await {}
    leftovers.started = started_runs.read();
    inbox.send(Message::Ended { worker, exit, output_tail: tail.summary(), leftovers });
}

/// Serves the worker until its process has ended. Returns its exit, or `None` if waiting for the process failed.
async fn wait_for_exit(
    started: &mut StartedWorker,
    commands: &mut UnboundedReceiver<WorkerCommand>,
    tail: &mut OutputTail,
    inbox: &Inbox,
) -> Option<Exit> {
    let StartedWorker { worker, child, control, output, .. } = started;
    // The time at which the worker closed its control socket, or at which it was last killed for that.
    let mut closed_at = None;
    let mut output_is_open = true;
    loop {
        tokio::select! {
            exit = child.wait() => match exit {
                Ok(exit) => return Some(exit),
                Err(error) => {
                    tracing::error!("cannot wait for worker {worker}: {error}");
                    poll_until_ended(&child.identity()).await;
                    return None;
                }
            },
            message = receive(*worker, control), if closed_at.is_none() => match message {
                Some(message) => inbox.send(Event::WorkerMessage(*worker, message)),
                None => closed_at = Some(Instant::now()),
            },
            Some(command) = commands.recv() => match command {
                WorkerCommand::Send(message) => send_message(*worker, control, &message),
                WorkerCommand::Kill => log_kill_error(child.signal(Signal::SIGKILL), child.pid()),
            },
            more = copy_output(output, tail), if output_is_open => output_is_open = more,
            () = sleep_until(closed_at.unwrap_or_else(Instant::now) + EXIT_TIMEOUT),
                if closed_at.is_some() =>
            {
                tracing::error!("worker {worker} closed its control socket and did not exit: it is killed");
                log_kill_error(child.signal(Signal::SIGKILL), child.pid());
                closed_at = Some(Instant::now());
            }
        }
    }
}

/// Waits for the end of a process by polling, for the case that no pidfd can be used.
pub(crate) async fn poll_until_ended(identity: &Identity) {
    while identity.is_alive() || identity.is_hidden() {
        sleep(Duration::from_secs(1)).await;
    }
}

/// Logs an error of a kill. The cleanup finds the process again if it still runs, and reports it as unkillable.
pub(crate) fn log_kill_error(killed: io::Result<()>, pid: i32) {
    if let Err(error) = killed {
        tracing::error!("cannot kill pid {pid}: {error}");
    }
}

/// Sends a message to a worker.
pub(crate) fn send_message(worker: i64, control: &mut FrameSocket, message: &ToWorker) {
    if let Err(error) = control.send(message, &[]) {
        tracing::error!("cannot send a message to worker {worker}: {error}");
    }
}

/// Receives the next message of a worker. `None` if the socket is closed or broken.
async fn receive(worker: i64, control: &mut FrameSocket) -> Option<FromWorker> {
    match control.next().await {
        Ok(frame) => frame?.message().map_or_else(
            |error| {
                tracing::error!("worker {worker} sent an unknown message: {error}");
                None
            },
            Some,
        ),
        Err(error) => {
            tracing::error!("cannot receive from worker {worker}: {error}");
            None
        }
    }
}

/// Copies output of the worker to the stderr of this process. Returns `false` at the end of the output.
async fn copy_output(output: &mut pipe::Receiver, tail: &mut OutputTail) -> bool {
    use std::io::Write as _;
    let mut buffer = [0; 4096];
    if output.readable().await.is_err() {
        return false;
    }
    match output.try_read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => {
            tail.push(&buffer[..count]);
            // The stderr of this process may be closed. That must not stop the monitor.
            drop(io::stderr().write_all(&buffer[..count]));
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
