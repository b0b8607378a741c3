//! Leases: a row that somebody renews, and that others take away when it no longer moves.
//!
//! Nobody's clock is trusted: who observes a lease watches whether `renewals` moves, and takes it
//! away by compare-and-set.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::{
    connect::{Db, Param},
    error::Result,
};

/// How often a monitor renews its lease.
pub const RENEW_EVERY: Duration = Duration::from_secs(4);

/// A lease that has not moved for so long is dead: its length of 20 s, and a tenth more.
pub const DEAD_AFTER: Duration = Duration::from_secs(22);

/// A lease, as long as nobody takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its row.
    pub id: i64,
    /// Changes when it is taken away.
    pub epoch: i64,
}

/// A lease at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub lease: Lease,
    /// How often it had been renewed.
    pub renewals: i64,
}

/// Looks at a lease. None: there is no such row.
pub async fn see(db: &Db, id: i64) -> Result<Option<Seen>> {
    let row = db.query_opt(include_str!("sql/see_lease.sql"), &[(&id, Type::INT8)]).await?;
    Ok(row.map(|row| Seen { lease: Lease { id, epoch: row.get(0) }, renewals: row.get(1) }))
}

/// Takes a lease away, if it has not moved since it was seen. False: it has.
pub async fn take(db: &Db, seen: Seen) -> Result<bool> {
    Ok(db.query_opt(include_str!("sql/take_lease.sql"), &take_params(&seen)).await?.is_some())
}

pub(crate) fn take_params(seen: &Seen) -> [Param<'_>; 3] {
    [(&seen.lease.id, Type::INT8), (&seen.lease.epoch, Type::INT8), (&seen.renewals, Type::INT8)]
}
