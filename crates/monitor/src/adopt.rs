//! The workers that earlier monitors of the host have left behind: busy ones finish their task
//! under a lease of their own and are watched; those that are gone are recorded at once.

use rework_core::{error::Result, lease, worker::Left};
use rework_process::{Exit, Identity, Watch};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_local,
};

use crate::{
    attend::{self, Hand, Order},
    close::Remains,
    link::Link,
    run::Message,
    twin::{self, Verdict},
};

/// Watches one that lives, and reports one that is gone.
pub(crate) fn take_over(left: Left, own: &Identity, link: &Link, inbox: &UnboundedSender<Message>) {
    let (orders, ordered) = unbounded_channel();
    let identity = left.process.as_ref().map(twin::identity);
    let here = left.place == (own.boot_id.clone(), own.pid_ns.clone());
    let pid = identity.as_ref().filter(|_| here).map(|identity| identity.pid);
    let hand = Hand { orders, pid };
    let (worker, domain) = (left.id, left.domain.clone());
    let _ = inbox.send(Message::Adopted { worker, domain, hand });
    let link = link.clone();
    let inbox = inbox.clone();
    spawn_local(async move {
        let exit = match identity {
            Some(identity) if here => until_dead(&identity, ordered).await,
            Some(_) if left.alone => {
                until_lease_is_dead(&link, left.seen).await;
                None
            }
            // Its monitor's lease is dead, and so is whatever lived by it; or it never lived.
            _ => None,
        };
        let _ = inbox.send(Message::Ended {
            worker: left.id,
            exit,
            last_words: String::new(),
            remains: Remains::of_left(&left, here),
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

/// One that lives elsewhere under a lease of its own: as long as that moves.
async fn until_lease_is_dead(link: &Link, mut seen: lease::Seen) {
    loop {
        let dead = link.persist("watch the lease of a worker", async |db| -> Result<bool> {
            match twin::dead(db, seen).await? {
                Verdict::Dead(dead) => lease::take(db, dead).await,
                Verdict::Taken => Ok(true),
                Verdict::Alive => Ok(false),
            }
        });
        if dead.await {
            return;
        }
        let now = link.persist("look at the lease of a worker", async |db| {
            lease::see(db, seen.lease.id).await
        });
        match now.await {
            Some((now, _)) => seen = now,
            None => return,
        }
    }
}
