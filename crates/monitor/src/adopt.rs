//! Adopting the workers that earlier monitors of this host have left behind: the end of those that
//! are gone is recorded at once; the others finish their task under a lease of their own and are
//! watched until then.

use rework_core::fleet::worker::Left;
use rework_process::{Exit, Identity, Watch};
use tokio::{sync::mpsc::UnboundedReceiver, task::spawn_local};

use crate::{
    inbox::{Inbox, Message},
    leftovers::Leftovers,
    registration,
    worker_handle::{WorkerCommand, WorkerHandle},
    worker_io,
};

/// Watches a worker that lives, and reports the end of one that is gone or was never started.
pub(crate) fn take_over(left: Left, inbox: &Inbox) {
    let identity = left.process.as_ref().map(registration::identity);
    let (handle, commands) = WorkerHandle::new(identity.as_ref().map(|identity| identity.pid));
    let (worker, domain) = (left.id, left.domain.clone());
    inbox.send(Message::Adopted { worker, domain, handle });
    let inbox = inbox.clone();
    spawn_local(async move {
        let exit = match identity {
            Some(identity) => until_dead(&identity, commands).await,
            None => None,
        };
        inbox.send(Message::Ended {
            worker: left.id,
            exit,
            last_words: String::new(),
            leftovers: Leftovers::of_left(&left),
        });
    });
}

/// Waits for the end of a process, and kills it if a command says so. The exit is known only if the
/// process is our child: it was started by this process before that executed itself anew.
async fn until_dead(
    identity: &Identity,
    mut commands: UnboundedReceiver<WorkerCommand>,
) -> Option<Exit> {
    let watch = match Watch::open(identity) {
        Ok(watch) => watch,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!("pid {} cannot be watched: {error}", identity.pid);
            worker_io::until_gone(identity).await;
            return None;
        }
    };
    loop {
        tokio::select! {
            ended = watch.ended() => match ended {
                Ok(()) => return watch.exit(),
                Err(error) => {
                    tracing::error!("pid {} cannot be watched: {error}", identity.pid);
                    worker_io::until_gone(identity).await;
                    return None;
                }
            },
            Some(command) = commands.recv() => if matches!(command, WorkerCommand::Kill) {
                worker_io::check_kill(
                    watch.signal(nix::sys::signal::Signal::SIGKILL),
                    identity.pid,
                );
            },
        }
    }
}
