//! Leases: rows that show that a monitor or a worker is alive. The holder, the process that depends
//! on a lease, renews its row. If the row no longer changes, an observer, a monitor of another
//! host, takes the lease away, and other hosts run the tasks again.
//!
//! No clock is compared with another one. A [holder](super::holder) dies by itself when 0.8 lengths have passed since
//! the last successful renewal was *sent*. An [observer](super::observer) waits until the row has not changed for 1.1
//! lengths on its own clock. A worker whose monitor is dead or silent creates a lease of its own: see its
//! [lifeline](super::lifeline).
//!
//! A failover may lose the last transactions. A holder notices it by the number of renewals, which goes back
//! ([holder](super::holder)), and by its runs ([recovery](super::recovery)).
//!
//! This is safe if each clock runs at most a tenth too fast or too slow, and a kill takes at most a tenth of a length:
//! then 0.8 lengths of the holder's clock end before 1.1 lengths of the observer's clock.

use std::time::Duration;

use rework_wire::lease::LeaseTerms;
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::{Error, Result},
        row::Columns,
    },
    task::fence::Fence,
};

/// The identity of a lease. It is no longer valid once the lease was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    pub id: i64,
    /// The epoch, a number that changes when the lease is taken away.
    pub epoch: i64,
}

/// Returns the epoch of a new lease: a random number. A failover may lose the row of a lease, and the server then
/// assigns its id again. The former holder must not take the new lease for its own.
pub(crate) fn first_epoch() -> i64 {
    fastrand::i64(1..1 << 53)
}

/// The state of a lease when an observer read it. Two equal snapshots mean that the lease was not renewed in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseSnapshot {
    pub lease: Lease,
    /// The number of renewals so far.
    pub renewals: i64,
}

/// Reads a lease and its terms. `None` if there is no such lease, or if it was taken away.
pub async fn snapshot(db: &Db, id: i64) -> Result<Option<(LeaseSnapshot, LeaseTerms)>> {
    let row = db.query_opt(include_str!("sql/lease_snapshot.sql"), &[(&id, Type::INT8)]).await?;
    let Some(row) = &row else { return Ok(None) };
    let row = Columns::new(row);
    let lease = Lease { id, epoch: row.get("epoch")? };
    let length = Duration::from_millis(row.get::<i64>("length_ms")? as u64);
    let snapshot = LeaseSnapshot { lease, renewals: row.get("renewals")? };
    Ok(Some((snapshot, LeaseTerms { length })))
}

/// Takes a lease away if it has not changed since the snapshot. Returns whether it was taken away.
pub async fn take(db: &Db, snapshot: LeaseSnapshot) -> Result<bool> {
    let params = take_params(&snapshot);
    Ok(db.query_opt(include_str!("sql/take_lease.sql"), &params).await?.is_some())
}

/// Closes a lease if no monitor and no worker depends on it, so that it is not observed any more.
/// This must be a statement of its own: it has to see the end of the last monitor or worker that
/// depended on the lease.
pub(crate) async fn close(db: &Db, id: i64) -> Result<()> {
    db.query(include_str!("sql/close_unused_leases.sql"), &[(&Some(id), Type::INT8)])
        .await
        .map(drop)
}

/// Creates a lease for a worker that has lost its monitor. `lease` is the lease that the worker
/// depends on. Returns `None` if `lease` was taken away, or if the end of the worker is recorded:
/// then the runs of the worker are lost too.
pub async fn create_own(
    db: &Db,
    worker: i64,
    lease: Lease,
    terms: LeaseTerms,
) -> Result<Option<Lease>> {
    let first_epoch = first_epoch();
    let params: [Param<'_>; 4] = [
        (&worker, Type::INT8),
        (&lease.id, Type::INT8),
        (&lease.epoch, Type::INT8),
        (&first_epoch, Type::INT8),
    ];
    let sql = include_str!("sql/create_own_lease.sql");
    let rows = db.query_within(terms.statement_timeout(), sql, &params).await?;
    let Some(row) = rows.first().map(Columns::new) else { return Ok(None) };
    Ok(Some(Lease { id: row.get("id")?, epoch: row.get("epoch")? }))
}

/// A request to abort a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbortRequest {
    pub fence: Fence,
    /// Why the run is to be aborted, for people.
    pub reason: String,
}

/// The reply to the renewal of a worker's own lease.
#[derive(Debug, Clone)]
pub struct OwnLeaseReply {
    /// The number of renewals of the lease. If the database had fewer than the worker knows, it was not renewed.
    pub renewals: i64,
    /// The abort request for the current run. `None` if there is no such request, or no current run.
    pub abort: Option<AbortRequest>,
    /// The id of the recovery of the server after which the worker has to compare its runs with the database. `None`
    /// if there is none.
    pub recovery: Option<i64>,
}

/// Renews the own lease of a worker, unless the database has stored fewer than `known_renewals`.
/// `Err` with [`Error::LeaseLost`] if the lease was taken away.
pub async fn renew_own(
    db: &Db,
    lease: Lease,
    terms: LeaseTerms,
    known_renewals: i64,
    current_run: Option<Fence>,
) -> Result<OwnLeaseReply> {
    let (task, run) = (current_run.map(|fence| fence.task), current_run.map(|fence| fence.run));
    let params: [Param<'_>; 5] = [
        (&lease.id, Type::INT8),
        (&lease.epoch, Type::INT8),
        (&task, Type::INT8),
        (&run, Type::INT8),
        (&known_renewals, Type::INT8),
    ];
    let sql = include_str!("sql/renew_own_lease.sql");
    let rows = db.query_within(terms.statement_timeout(), sql, &params).await?;
    let row = Columns::new(rows.first().ok_or(Error::LeaseLost)?);
    let reason: Option<String> = row.get("abort_reason")?;
    Ok(OwnLeaseReply {
        renewals: row.get("renewals")?,
        abort: current_run.zip(reason).map(|(fence, reason)| AbortRequest { fence, reason }),
        recovery: row.get("recovery")?,
    })
}

/// Returns the parameters of `take_lease.sql`.
pub(crate) fn take_params(snapshot: &LeaseSnapshot) -> [Param<'_>; 3] {
    [
        (&snapshot.lease.id, Type::INT8),
        (&snapshot.lease.epoch, Type::INT8),
        (&snapshot.renewals, Type::INT8),
    ]
}
