//! Adopting the workers that earlier monitors of this host left behind. If such a worker has ended, its end is recorded
//! at once. Otherwise it finishes its task under a lease of its own, and the monitor waits for its end.

use rework_core::fleet::worker::AbandonedWorker;
use rework_process::{Exit, Identity, ProcessHandle};
use tokio::{sync::mpsc::UnboundedReceiver, task::spawn_local};

use crate::{
    inbox::{Inbox, Message},
    leftovers::Leftovers,
    registration,
    worker_handle::{WorkerCommand, WorkerHandle},
    worker_io,
};

/// Adopts a worker: waits for the end of its process in the background, and then sends [`Message::Ended`]. Sends it at
/// once if the process has ended or was never started.
pub(crate) fn adopt(abandoned: AbandonedWorker, inbox: &Inbox) {
    let identity = abandoned.process.as_ref().map(registration::identity);
    let (handle, commands) = WorkerHandle::new(identity.as_ref().map(|identity| identity.pid));
    let (worker, domain) = (abandoned.id, abandoned.domain.clone());
    inbox.send(Message::Adopted { worker, domain, handle });
    let inbox = inbox.clone();
    spawn_local(async move {
        let exit = match identity {
            Some(identity) => wait_for_end(&identity, commands).await,
            None => None,
        };
        inbox.send(Message::Ended {
            worker: abandoned.id,
            exit,
            output_tail: String::new(),
            leftovers: Leftovers::of_abandoned(&abandoned),
        });
    });
}

/// Waits for the end of a process, and kills it when a command requests that.
///
/// Returns the exit if the process is a child of this one, otherwise `None`. It is a child if this
/// process started it before this process executed its program again.
async fn wait_for_end(
    identity: &Identity,
    mut commands: UnboundedReceiver<WorkerCommand>,
) -> Option<Exit> {
    let process = match ProcessHandle::open(identity) {
        Ok(process) => process,
        // It has ended, or `/proc` hides it. Then it is not killed, because it may be another process with this pid.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            worker_io::poll_until_ended(identity).await;
            return None;
        }
        Err(error) => {
            tracing::error!("cannot open a handle to pid {}: {error}", identity.pid);
            worker_io::poll_until_ended(identity).await;
            return None;
        }
    };
    loop {
        tokio::select! {
            ended = process.ended() => match ended {
                Ok(()) => return process.exit(),
                Err(error) => {
                    tracing::error!("cannot wait for pid {}: {error}", identity.pid);
                    worker_io::poll_until_ended(identity).await;
                    return None;
                }
            },
            Some(command) = commands.recv() => if matches!(command, WorkerCommand::Kill) {
                worker_io::log_kill_error(
                    process.signal(nix::sys::signal::Signal::SIGKILL),
                    identity.pid,
                );
            },
        }
    }
}
