//! The keeper of a worker's own lease. It has a connection of its own: a lease waits for no log.

use rework_core::{
    db::error::Error,
    lease::{
        self,
        row::{Asked, Lease},
    },
    task::fence::Fence,
};
use rework_process::boot_time;
use rework_wire::{
    lease::{Moment, Terms},
    worker::Start,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
};

use crate::database_away::Database;

/// Who asks it.
#[derive(Clone)]
pub(crate) struct Keeper(mpsc::UnboundedSender<(Ask, oneshot::Sender<Said>)>);

enum Ask {
    Adopt,
    Renew(Option<Fence>),
}

/// What came of one attempt.
#[derive(Debug)]
pub(crate) struct Said {
    /// When it began.
    pub sent_at: Moment,
    pub what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Adopted,
    Renewed(Option<Asked>),
    /// What the worker lived by was taken away.
    Taken,
    /// The server is there for nobody.
    Away,
    /// It may or may not have been done.
    Failed,
}

impl Keeper {
    /// Of a worker that lives by its monitor's lease.
    pub(crate) fn start(database: Database, start: &Start) -> Keeper {
        let (sender, receiver) = mpsc::unbounded_channel();
        let lease = Lease { id: start.lease, epoch: start.epoch };
        let who = Who { worker: start.worker, lease, terms: start.terms, direct: start.direct };
        spawn_local(keep(database, who, receiver));
        Keeper(sender)
    }

    /// Asks for a lease of the worker's own.
    pub(crate) fn adopt(&self) -> oneshot::Receiver<Said> {
        self.ask(Ask::Adopt)
    }

    /// Renews that; `held` is the run in hand.
    pub(crate) fn renew(&self, held: Option<Fence>) -> oneshot::Receiver<Said> {
        self.ask(Ask::Renew(held))
    }

    fn ask(&self, ask: Ask) -> oneshot::Receiver<Said> {
        let (sender, receiver) = oneshot::channel();
        // The keeper ends only with the process.
        let _ = self.0.send((ask, sender));
        receiver
    }
}

struct Who {
    worker: i64,
    lease: Lease,
    terms: Terms,
    /// A server that refuses is the server itself, and nothing between it and us.
    direct: bool,
}

async fn keep(
    mut database: Database,
    mut who: Who,
    mut asks: mpsc::UnboundedReceiver<(Ask, oneshot::Sender<Said>)>,
) {
    while let Some((ask, answer)) = asks.recv().await {
        let sent_at = boot_time();
        let Who { worker, lease, terms, .. } = who;
        let what = match ask {
            Ask::Adopt => {
                let adopt = async |db: &_| lease::row::adopt(db, worker, lease, terms).await;
                match database.once(adopt).await {
                    Ok(Some(own)) => {
                        who.lease = own;
                        What::Adopted
                    }
                    Ok(None) => What::Taken,
                    Err(error) => failed(&error, &database, who.direct).await,
                }
            }
            Ask::Renew(held) => {
                let renew = async |db: &_| lease::row::renew_own(db, lease, terms, held).await;
                match database.once(renew).await {
                    Ok(asked) => What::Renewed(asked),
                    Err(Error::LeaseLost) => What::Taken,
                    Err(error) => failed(&error, &database, who.direct).await,
                }
            }
        };
        let _ = answer.send(Said { sent_at, what });
    }
}

async fn failed(error: &Error, database: &Database, direct: bool) -> What {
    tracing::debug!("the lease could not be kept: {error}");
    if direct && database.dsn().serves_nobody(error).await { What::Away } else { What::Failed }
}
