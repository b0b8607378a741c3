//! Leases: a row that somebody renews, and that others take away when it no longer moves.
//!
//! Nobody's clock is trusted. Who lives by a lease dies [by itself](super::holder) some time after the last
//! renewal that was answered was *sent*; who [observes](super::observer) one waits for longer than that on a
//! clock of its own, and takes it away by compare-and-set. A worker whose monitor is silent or gone
//! [goes on alone](super::lifeline). These three are pure: `step(event, now)` gives what is to be done.
//!
//! What makes it safe: with clocks that go up to a tenth wrong, and a tenth of a length for a kill
//! to come true, 0.8 lengths last no longer than 1.1 lengths of another clock.

use std::time::Duration;

use rework_wire::lease::Terms;
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::{Error, Result},
        row::Columns,
    },
    task::fence::Fence,
};

/// A lease, as long as nobody takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// Its row.
    pub id: i64,
    /// Changes when it is taken away.
    pub epoch: i64,
}

/// A lease at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub lease: Lease,
    /// How often it had been renewed.
    pub renewals: i64,
}

/// Looks at a lease, and at its length. None: there is no such row, or it was taken away.
pub async fn see(db: &Db, id: i64) -> Result<Option<(Seen, Terms)>> {
    let row = db.query_opt(include_str!("sql/see_lease.sql"), &[(&id, Type::INT8)]).await?;
    let Some(row) = &row else { return Ok(None) };
    let row = Columns::new(row);
    let lease = Lease { id, epoch: row.get("epoch")? };
    let length = Duration::from_millis(row.get::<i64>("length_ms")? as u64);
    Ok(Some((Seen { lease, renewals: row.get("renewals")? }, Terms { length })))
}

/// Takes a lease away, if it has not moved since it was seen. False: it has.
pub async fn take(db: &Db, seen: Seen) -> Result<bool> {
    Ok(db.query_opt(include_str!("sql/take_lease.sql"), &take_params(&seen)).await?.is_some())
}

/// Closes a lease if nobody lives by it any more: it need not be watched. A statement of its own, so that it
/// sees who has just ended.
pub(crate) async fn close(db: &Db, id: i64) -> Result<()> {
    db.query(include_str!("sql/close_leases.sql"), &[(&Some(id), Type::INT8)]).await.map(drop)
}

/// A busy worker without a monitor makes a lease of its own. None: the lease that it lived by was
/// taken away, and its runs with it.
pub async fn adopt(db: &Db, worker: i64, lease: Lease, terms: Terms) -> Result<Option<Lease>> {
    let params: [Param<'_>; 3] =
        [(&worker, Type::INT8), (&lease.id, Type::INT8), (&lease.epoch, Type::INT8)];
    let sql = include_str!("sql/adopt_lease.sql");
    let rows = db.query_soon(terms.deadline(), sql, &params).await?;
    let Some(row) = rows.first().map(Columns::new) else { return Ok(None) };
    Ok(Some(Lease { id: row.get("id")?, epoch: row.get("epoch")? }))
}

/// A run that is to end, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub fence: Fence,
    /// Why, in words.
    pub reason: String,
}

/// Renews a worker's own lease, and tells whether the run in hand is to end.
pub async fn renew_own(
    db: &Db,
    lease: Lease,
    terms: Terms,
    fence: Option<Fence>,
) -> Result<Option<Asked>> {
    let (task, run) = (fence.map(|fence| fence.task), fence.map(|fence| fence.run));
    let params: [Param<'_>; 4] = [
        (&lease.id, Type::INT8),
        (&lease.epoch, Type::INT8),
        (&task, Type::INT8),
        (&run, Type::INT8),
    ];
    let sql = include_str!("sql/renew_own.sql");
    let rows = db.query_soon(terms.deadline(), sql, &params).await?;
    let row = Columns::new(rows.first().ok_or(Error::LeaseLost)?);
    let reason: Option<String> = row.get("asked")?;
    Ok(fence.zip(reason).map(|(fence, reason)| Asked { fence, reason }))
}

pub(crate) fn take_params(seen: &Seen) -> [Param<'_>; 3] {
    [(&seen.lease.id, Type::INT8), (&seen.lease.epoch, Type::INT8), (&seen.renewals, Type::INT8)]
}
