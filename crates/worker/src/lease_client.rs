//! Creates and renews a worker's own lease in the database, for a worker whose monitor is gone or
//! silent (`supervisor.rs`). The client has a connection of its own, so that a renewal never waits
//! behind a large log.

use rework_core::{
    db::{connect::Db, error::Error},
    lease::{
        self,
        row::{Lease, OwnLeaseReply},
    },
    task::fence::Fence,
};
use rework_process::boot_time;
use rework_wire::{
    lease::{BootTime, LeaseTerms},
    worker::Start,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
};

use crate::database_connection::DatabaseConnection;

/// Sends requests to the task that keeps the lease.
#[derive(Clone)]
pub(crate) struct LeaseClient(mpsc::UnboundedSender<(LeaseRequest, oneshot::Sender<LeaseReply>)>);

/// A request about the worker's own lease.
enum LeaseRequest {
    /// Create a lease of the worker's own, in place of its monitor's.
    Adopt,
    /// Renew the worker's own lease.
    Renew(Renewal),
}

/// The contents of a renewal.
pub(crate) struct Renewal {
    /// The number of renewals that the database is known to have stored.
    pub known_renewals: i64,
    /// The open run whose abort requests are read, too. `None` if no run is open.
    pub run: Option<Fence>,
    /// The recovery of the server after which the worker has compared its runs with the database. `None` if there is
    /// none.
    pub checked_recovery: Option<i64>,
}

/// The result of one request.
#[derive(Debug)]
pub(crate) struct LeaseReply {
    /// The boot time at which the request was sent, from which the new length of the lease counts.
    pub sent_at: BootTime,
    pub result: LeaseResult,
}

/// The result of a request about the lease.
#[derive(Debug)]
pub(crate) enum LeaseResult {
    /// The worker has a lease of its own now.
    Adopted,
    /// The renewal was answered.
    Renewed(OwnLeaseReply),
    /// The lease that the worker depends on was taken away.
    Taken,
    /// No client can change the database, so no other process can take the lease either.
    Unavailable,
    /// There was no connection, so the request was not sent.
    NotSent,
    /// The request failed. It may or may not have taken effect.
    Failed,
}

impl LeaseClient {
    /// Starts the client of a worker that depends on its monitor's lease.
    pub(crate) fn start(database: DatabaseConnection, start: &Start) -> LeaseClient {
        let (sender, receiver) = mpsc::unbounded_channel();
        let lease = Lease { id: start.lease, epoch: start.epoch };
        let owner = LeaseOwner { worker: start.worker, lease, terms: start.terms };
        spawn_local(serve_requests(database, owner, receiver));
        LeaseClient(sender)
    }

    /// Requests a lease of the worker's own.
    pub(crate) fn adopt(&self) -> oneshot::Receiver<LeaseReply> {
        self.request(LeaseRequest::Adopt)
    }

    /// Requests a renewal of the worker's own lease.
    pub(crate) fn renew(&self, renewal: Renewal) -> oneshot::Receiver<LeaseReply> {
        self.request(LeaseRequest::Renew(renewal))
    }

    fn request(&self, request: LeaseRequest) -> oneshot::Receiver<LeaseReply> {
        let (sender, receiver) = oneshot::channel();
        // The receiving task ends only with the process, so sending cannot fail.
        let _ = self.0.send((request, sender));
        receiver
    }
}

/// The worker, and the lease that it depends on.
struct LeaseOwner {
    worker: i64,
    lease: Lease,
    terms: LeaseTerms,
}

/// Handles one request after the other.
async fn serve_requests(
    mut database: DatabaseConnection,
    mut owner: LeaseOwner,
    mut requests: mpsc::UnboundedReceiver<(LeaseRequest, oneshot::Sender<LeaseReply>)>,
) {
    while let Some((request, reply_to)) = requests.recv().await {
        let sent_at = boot_time();
        let sent = match database.get().await {
            Ok(db) => Ok(owner.send(db, request).await),
            Err(error) => Err(error),
        };
        let result = match sent {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                tracing::debug!("a request about the worker's own lease failed: {error}");
                database.close_after(&error);
                LeaseResult::Failed
            }
            Err(error) => {
                tracing::debug!("no connection for a request about the worker's lease: {error}");
                let is_down = database.dsn().is_down_for_everyone(&error);
                if is_down { LeaseResult::Unavailable } else { LeaseResult::NotSent }
            }
        };
        let _ = reply_to.send(LeaseReply { sent_at, result });
    }
}

impl LeaseOwner {
    /// Sends a request. `Err` if it failed: the database may have carried it out or not.
    async fn send(&mut self, db: &Db, request: LeaseRequest) -> Result<LeaseResult, Error> {
        let LeaseOwner { worker, lease, terms } = *self;
        match request {
            LeaseRequest::Adopt => {
                let Some(own) = lease::row::create_own(db, worker, lease, terms).await? else {
                    return Ok(LeaseResult::Taken);
                };
                self.lease = own;
                Ok(LeaseResult::Adopted)
            }
            LeaseRequest::Renew(Renewal { known_renewals, run, checked_recovery }) => {
                let renewed = lease::row::renew_own(db, lease, terms, known_renewals, run).await;
                let reply = match renewed {
                    Err(Error::LeaseLost) => return Ok(LeaseResult::Taken),
                    reply => reply?,
                };
                if let Some(recovery) = reply.recovery.filter(|id| Some(*id) == checked_recovery)
                    && let Err(error) = lease::recovery::record_check(db, lease, recovery).await
                {
                    // The next renewal tries again.
                    tracing::debug!("the check after a recovery could not be recorded: {error}");
                }
                Ok(LeaseResult::Renewed(reply))
            }
        }
    }
}
