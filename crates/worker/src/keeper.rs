//! The keeper of a worker's own lease. It has a connection of its own: a lease waits for no log.

use rework_core::{
    claim::Fence,
    error::{Error, Result},
    lease::{self, Asked, Lease, Moment},
};
use rework_process::boot_time;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
};

use crate::database::Database;

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
    /// Of a worker that lives by this lease of its monitor's.
    pub(crate) fn start(database: Database, worker: i64, lease: Lease) -> Keeper {
        let (sender, receiver) = mpsc::unbounded_channel();
        spawn_local(keep(database, worker, lease, receiver));
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

async fn keep(
    mut database: Database,
    worker: i64,
    mut lease: Lease,
    mut asks: mpsc::UnboundedReceiver<(Ask, oneshot::Sender<Said>)>,
) {
    while let Some((ask, answer)) = asks.recv().await {
        let sent_at = boot_time();
        let what = match ask {
            Ask::Adopt => {
                let own = database.once(async |db| lease::adopt(db, worker, lease).await).await;
                adopted(own, &mut lease)
            }
            Ask::Renew(held) => {
                renewed(database.once(async |db| lease::renew_own(db, lease, held).await).await)
            }
        };
        let _ = answer.send(Said { sent_at, what });
    }
}

fn adopted(own: Result<Option<Lease>>, lease: &mut Lease) -> What {
    match own {
        Ok(Some(own)) => {
            *lease = own;
            What::Adopted
        }
        Ok(None) => What::Taken,
        Err(error) => failed(&error),
    }
}

fn renewed(answer: Result<Option<Asked>>) -> What {
    match answer {
        Ok(asked) => What::Renewed(asked),
        Err(Error::LeaseLost) => What::Taken,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> What {
    tracing::debug!("the lease could not be kept: {error}");
    if error.is_nobody_served() { What::Away } else { What::Failed }
}
