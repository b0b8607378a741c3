//! The check after a recovery of the server.
//!
//! After a failover to a standby that had not received the last transactions, the database has gone back to an earlier
//! state. The same happens after a crash of a server with `synchronous_commit = off`. Claims may be lost while their
//! tasks still run. Therefore nothing is claimed after such a recovery until each holder of a live lease has compared
//! the runs that depend on the lease with the database, and has killed those that the database does not have. A holder
//! that does not do so loses its lease, as always.
//!
//! `migrations/V03__lease.sql` has the tables and functions. A monitor learns of the recovery by its poll, a worker
//! with a lease of its own by a renewal.

use tokio_postgres::{Transaction, types::Type};
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    lease::row::Lease,
    task::fence::Fence,
};

/// Returns whether the database still has what a worker knows to be committed: the claims of its open runs, and the
/// last end that it has recorded. `None` if it has recorded none.
///
/// Transactions are lost from the last one on. So if the last end is there, all earlier ones are.
pub async fn has_runs(db: &Db, open: &[Fence], last_end: Option<Fence>) -> Result<bool> {
    let tasks: Vec<i64> = open.iter().map(|fence| fence.task).collect();
    let runs: Vec<i64> = open.iter().map(|fence| fence.run).collect();
    let tokens: Vec<Uuid> = open.iter().map(|fence| fence.token).collect();
    let (task, run) = (last_end.map(|fence| fence.task), last_end.map(|fence| fence.run));
    let token = last_end.map(|fence| fence.token);
    let params: [Param<'_>; 6] = [
        (&tasks, Type::INT8_ARRAY),
        (&runs, Type::INT8_ARRAY),
        (&tokens, Type::UUID_ARRAY),
        (&task, Type::INT8),
        (&run, Type::INT8),
        (&token, Type::UUID),
    ];
    let row = db.query_one(include_str!("sql/has_runs.sql"), &params).await?;
    Columns::new(&row).get("has_runs")
}

/// Records that the holder of a lease has done the check after this recovery.
pub async fn record_check(db: &Db, lease: Lease, recovery: i64) -> Result<()> {
    let params: [Param<'_>; 2] = [(&lease.id, Type::INT8), (&recovery, Type::INT8)];
    db.query(include_str!("sql/record_check.sql"), &params).await.map(drop)
}

/// Notices a recovery of the server before a monitor registers: a lost monitor may still run, and its id must not be
/// assigned again.
pub(crate) async fn start(transaction: &Transaction<'_>) -> Result<()> {
    let none: Option<i64> = None;
    let params: [Param<'_>; 2] = [(&none, Type::INT8), (&none, Type::INT8)];
    transaction.query_typed(include_str!("sql/record_check.sql"), &params).await?;
    Ok(())
}
