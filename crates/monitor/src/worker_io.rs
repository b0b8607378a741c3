//! The input and output of one worker: its messages go to the event loop, commands of the monitor go
//! to the worker, until its process has ended.

use std::{io, time::Duration};

use nix::sys::signal::Signal;
use rework_process::{Child, Exit, Identity};
use rework_wire::{
    connection::Frames,
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
    page::Page,
    stderr_tail::StderrTail,
    worker_handle::WorkerCommand,
};

/// How long a worker may live after it closed its control socket. A normal exit takes less.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for each further message of a dead worker. All of them are in the socket
/// already, since nobody else writes there.
const READ_REST_TIMEOUT: Duration = Duration::from_millis(200);

/// A worker that has just been started.
#[derive(Debug)]
pub(crate) struct StartedWorker {
    pub(crate) worker: i64,
    pub(crate) child: Child,
    pub(crate) control: Frames,
    /// The pipe that is its stdout and stderr.
    pub(crate) output: pipe::Receiver,
    pub(crate) page: Page,
    pub(crate) leftovers: Leftovers,
}

/// Serves a worker until its process has ended, and reports that end.
pub(crate) async fn serve(
    mut started: StartedWorker,
    mut commands: UnboundedReceiver<WorkerCommand>,
    inbox: Inbox,
) {
    let mut tail = StderrTail::default();
    let exit = until_exit(&mut started, &mut commands, &mut tail, &inbox).await;
    let StartedWorker { worker, mut control, mut output, page, mut leftovers, .. } = started;
    while let Ok(Some(message)) = timeout(READ_REST_TIMEOUT, receive(worker, &mut control)).await {
        inbox.send(Event::Said(worker, message));
    }
    while let Ok(true) = timeout(READ_REST_TIMEOUT, copy_output(&mut output, &mut tail)).await {}
    leftovers.begun = page.begun();
    inbox.send(Message::Ended { worker, exit, last_words: tail.told(), leftovers });
}

/// The exit of the worker; `None` if its process could not be waited for.
async fn until_exit(
    started: &mut StartedWorker,
    commands: &mut UnboundedReceiver<WorkerCommand>,
    tail: &mut StderrTail,
    inbox: &Inbox,
) -> Option<Exit> {
    let StartedWorker { worker, child, control, output, .. } = started;
    let mut silent_since = None;
    let mut writes = true;
    loop {
        tokio::select! {
            exit = child.wait() => match exit {
                Ok(exit) => return Some(exit),
                Err(error) => {
                    tracing::error!("worker {worker} cannot be waited for: {error}");
                    until_gone(&child.identity()).await;
                    return None;
                }
            },
            message = receive(*worker, control), if silent_since.is_none() => match message {
                Some(message) => inbox.send(Event::Said(*worker, message)),
                None => silent_since = Some(Instant::now()),
            },
            Some(command) = commands.recv() => match command {
                WorkerCommand::Tell(message) => tell(*worker, control, &message),
                WorkerCommand::Kill => check_kill(child.signal(Signal::SIGKILL), child.pid()),
            },
            more = copy_output(output, tail), if writes => writes = more,
            () = sleep_until(silent_since.unwrap_or_else(Instant::now) + EXIT_TIMEOUT),
                if silent_since.is_some() =>
            {
                tracing::error!("worker {worker} does not speak any more and is killed");
                check_kill(child.signal(Signal::SIGKILL), child.pid());
                silent_since = Some(Instant::now());
            }
        }
    }
}

/// Waits for the end of a process that can only be looked for.
pub(crate) async fn until_gone(identity: &Identity) {
    while identity.is_alive() {
        sleep(Duration::from_secs(1)).await;
    }
}

/// Logs that a kill failed. Nothing else is to be done: the process is reported again when the
/// cleanup finds that it still lives.
pub(crate) fn check_kill(killed: io::Result<()>, pid: i32) {
    if let Err(error) = killed {
        tracing::error!("pid {pid} cannot be killed: {error}");
    }
}

/// Sends a message to a worker.
pub(crate) fn tell(worker: i64, control: &mut Frames, message: &ToWorker) {
    if let Err(error) = control.send(message, &[]) {
        tracing::error!("worker {worker} cannot be told: {error}");
    }
}

/// The next message of a worker; `None` if there will be no more.
async fn receive(worker: i64, control: &mut Frames) -> Option<FromWorker> {
    match control.next().await {
        Ok(frame) => frame?.message().map_or_else(
            |error| {
                tracing::error!("worker {worker} sent an unknown message: {error}");
                None
            },
            Some,
        ),
        Err(error) => {
            tracing::error!("worker {worker} cannot be heard: {error}");
            None
        }
    }
}

/// Copies what a worker wrote to our stderr; false at the end of its output.
async fn copy_output(output: &mut pipe::Receiver, tail: &mut StderrTail) -> bool {
    use std::io::Write as _;
    let mut buffer = [0; 4096];
    if output.readable().await.is_err() {
        return false;
    }
    match output.try_read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => {
            tail.push(&buffer[..count]);
            // Nobody may be reading: the monitor goes on all the same.
            drop(io::stderr().write_all(&buffer[..count]));
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
