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

use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::{Error, Result},
    },
    task::fence::Fence,
};

/// A moment of this machine: since its boot, the time of sleep included.
pub type Moment = Duration;

/// The length of leases where nobody says otherwise.
pub const LENGTH: Duration = Duration::from_secs(20);

/// How long a lease is, and what follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub length: Duration,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { length: LENGTH }
    }
}

impl Terms {
    /// How often it is renewed.
    pub fn renew_every(self) -> Duration {
        self.length / 5
    }

    /// From the sending of the last renewal that was answered to the death of who lives by it.
    pub fn self_kill(self) -> Duration {
        self.length * 4 / 5
    }

    /// Without a renewal for so long, a busy worker makes a lease of its own.
    pub fn silence(self) -> Duration {
        self.length * 2 / 5
    }

    /// A lease that has not moved for so long is dead.
    pub fn dead_after(self) -> Duration {
        self.length * 11 / 10
    }

    /// The longest that a statement may take on which a lease depends: another attempt must come in time.
    pub fn deadline(self) -> Duration {
        self.length / 4
    }

    /// How often leases are looked at.
    pub fn look_every(self) -> Duration {
        (self.length / 20).min(Duration::from_secs(1))
    }

    /// When two looks lie farther apart than this, the time between them is no evidence.
    pub fn longest_gap(self) -> Duration {
        self.length * 3 / 20
    }
}

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
    Ok(row.map(|row| {
        let seen = Seen { lease: Lease { id, epoch: row.get(0) }, renewals: row.get(1) };
        (seen, Terms { length: Duration::from_millis(row.get::<_, i64>(2) as u64) })
    }))
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
    Ok(rows.first().map(|row| Lease { id: row.get(0), epoch: row.get(1) }))
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
    let reason: Option<String> = rows.first().ok_or(Error::LeaseLost)?.get(0);
    Ok(fence.zip(reason).map(|(fence, reason)| Asked { fence, reason }))
}

pub(crate) fn take_params(seen: &Seen) -> [Param<'_>; 3] {
    [(&seen.lease.id, Type::INT8), (&seen.lease.epoch, Type::INT8), (&seen.renewals, Type::INT8)]
}
