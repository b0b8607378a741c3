//! The workers that earlier monitors of the host have left behind: busy ones finish their task
//! under a lease of their own and are watched; those that are gone are recorded at once.

use rework_core::fleet::worker::Left;
use rework_process::{Exit, Identity, Watch};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_local,
};

use crate::{
    attend::{self, Hand, Order},
    close::Remains,
    run::Message,
    twin,
};

/// Watches one that lives, and reports one that is gone, or never lived.
pub(crate) fn take_over(left: Left, inbox: &UnboundedSender<Message>) {
    let (orders, ordered) = unbounded_channel();
    let identity = left.process.as_ref().map(twin::identity);
    let hand = Hand { orders, pid: identity.as_ref().map(|identity| identity.pid) };
    let (worker, domain) = (left.id, left.domain.clone());
    let _ = inbox.send(Message::Adopted { worker, domain, hand });
    let inbox = inbox.clone();
    spawn_local(async move {
        let exit = match identity {
            Some(identity) => until_dead(&identity, ordered).await,
            None => None,
        };
        let _ = inbox.send(Message::Ended {
            worker: left.id,
            exit,
            last_words: String::new(),
            remains: Remains::of_left(&left),
        });
    });
}

/// Kills it, if that is asked for. How it ended is seen where it is our child: before this process
/// executed itself anew, it was its monitor.
async fn until_dead(identity: &Identity, mut ordered: UnboundedReceiver<Order>) -> Option<Exit> {
    let watch = match Watch::open(identity) {
        Ok(watch) => watch,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!("pid {} cannot be watched: {error}", identity.pid);
            attend::until_unseen(identity).await;
            return None;
        }
    };
    loop {
        tokio::select! {
            ended = watch.ended() => match ended {
                Ok(()) => return watch.exit(),
                Err(error) => {
                    tracing::error!("pid {} cannot be watched: {error}", identity.pid);
                    attend::until_unseen(identity).await;
                    return None;
                }
            },
            Some(order) = ordered.recv() => if matches!(order, Order::Kill) {
                attend::strike(watch.signal(nix::sys::signal::Signal::SIGKILL), identity.pid);
            },
        }
    }
}
