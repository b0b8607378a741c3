//! Creates and renews a worker's own lease in the database, for a worker whose monitor is gone or
//! silent (`supervisor.rs`). The client has a connection of its own, so that a renewal never waits
//! behind a large log.

use rework_core::{
    db::error::Error,
    lease::{
        self,
        row::{AbortRequest, Lease},
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
    /// Renew the worker's own lease, and report whether an abort of this run was requested. `None`
    /// if no run is open.
    Renew(Option<Fence>),
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
    /// The lease was renewed. The abort request is that of the open run; `None` if there is no such
    /// request.
    Renewed(Option<AbortRequest>),
    /// The lease that the worker depends on was taken away.
    Taken,
    /// The server itself is down, so no other process can take the lease either.
    Unavailable,
    /// The request failed. It may or may not have taken effect.
    Failed,
}

impl LeaseClient {
    /// Starts the client of a worker that depends on its monitor's lease.
    pub(crate) fn start(database: DatabaseConnection, start: &Start) -> LeaseClient {
        let (sender, receiver) = mpsc::unbounded_channel();
        let lease = Lease { id: start.lease, epoch: start.epoch };
        let owner = LeaseOwner {
            worker: start.worker,
            lease,
            terms: start.terms,
            direct_connection: start.direct_connection,
        };
        spawn_local(serve_requests(database, owner, receiver));
        LeaseClient(sender)
    }

    /// Requests a lease of the worker's own.
    pub(crate) fn adopt(&self) -> oneshot::Receiver<LeaseReply> {
        self.request(LeaseRequest::Adopt)
    }

    /// Requests a renewal of the worker's own lease. `run` is the open run whose abort requests are
    /// read, too; `None` if no run is open.
    pub(crate) fn renew(&self, run: Option<Fence>) -> oneshot::Receiver<LeaseReply> {
        self.request(LeaseRequest::Renew(run))
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
    /// Whether the connection leads directly to the server, so that a refused connection comes from the server itself
    /// and not from a pooler or a proxy.
    direct_connection: bool,
}

/// Handles one request after the other.
async fn serve_requests(
    mut database: DatabaseConnection,
    mut owner: LeaseOwner,
    mut requests: mpsc::UnboundedReceiver<(LeaseRequest, oneshot::Sender<LeaseReply>)>,
) {
    while let Some((request, reply_to)) = requests.recv().await {
        let sent_at = boot_time();
        let LeaseOwner { worker, lease, terms, .. } = owner;
        let result = match request {
            LeaseRequest::Adopt => {
                let adopt = async |db: &_| lease::row::create_own(db, worker, lease, terms).await;
                match database.once(adopt).await {
                    Ok(Some(own)) => {
                        owner.lease = own;
                        LeaseResult::Adopted
                    }
                    Ok(None) => LeaseResult::Taken,
                    Err(error) => failure(&error, &database, owner.direct_connection).await,
                }
            }
            LeaseRequest::Renew(run) => {
                let renew = async |db: &_| lease::row::renew_own(db, lease, terms, run).await;
                match database.once(renew).await {
                    Ok(request) => LeaseResult::Renewed(request),
                    Err(Error::LeaseLost) => LeaseResult::Taken,
                    Err(error) => failure(&error, &database, owner.direct_connection).await,
                }
            }
        };
        let _ = reply_to.send(LeaseReply { sent_at, result });
    }
}

/// Returns the result for a failed request: unavailable if the server is certainly down for everyone.
async fn failure(
    error: &Error,
    database: &DatabaseConnection,
    direct_connection: bool,
) -> LeaseResult {
    tracing::debug!("a request about the worker's own lease failed: {error}");
    if direct_connection && database.dsn().is_down_for_everyone(error).await {
        LeaseResult::Unavailable
    } else {
        LeaseResult::Failed
    }
}
