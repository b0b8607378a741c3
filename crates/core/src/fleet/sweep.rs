//! Sweep: whoever lived by a lease that was taken away is dead; what it had is ended. Every monitor may
//! do it, at any time and more than once: each end is recorded behind the fence.

use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::Db,
        error::{Error, Result},
        row::Columns,
    },
    fleet::worker,
    task::complete::{Completion, Outcome, Recorded, complete},
};

/// Why, in words.
pub const HOST_LOST: &str = "host lost";

#[derive(Debug, Default)]
pub struct Swept {
    /// Monitors, and their hosts.
    pub monitors: Vec<(i64, String)>,
    /// Ends of runs: (task, what became of it).
    pub ends: Vec<(i64, Recorded)>,
    /// Workers that are left for the next time, and why.
    pub left: Vec<(i64, Error)>,
}

/// Records the ends of all who lived by a lease that was taken away.
pub async fn sweep(db: &Db) -> Result<Swept> {
    let mut swept = Swept::default();
    for row in db.query(include_str!("sql/taken_workers.sql"), &[]).await? {
        let worker: i64 = Columns::new(&row).get("id")?;
        match sweep_worker(db, worker, &mut swept).await {
            Ok(()) => {}
            Err(error) if error.is_connection() => return Err(error),
            // One that somebody holds in a transaction keeps no other: it is swept later.
            Err(error) => swept.left.push((worker, error)),
        }
    }
    let params = [(&HOST_LOST as _, Type::TEXT)];
    let rows = db.query(include_str!("sql/finish_taken_monitors.sql"), &params).await?;
    db.query(include_str!("sql/close_taken_leases.sql"), &[]).await?;
    for row in &rows {
        let row = Columns::of("monitor", "id", row);
        swept.monitors.push((row.get("id")?, row.get("host")?));
    }
    Ok(swept)
}

/// Each of its runs by itself: somebody may hold the row of one.
async fn sweep_worker(db: &Db, worker: i64, swept: &mut Swept) -> Result<()> {
    let mut failed = None;
    for open in worker::open_runs(db, worker).await? {
        let end = Completion::new(open.fence, Outcome::Lost, Some(HOST_LOST.to_owned()));
        match complete(db, &[end], None).await {
            Ok(recorded) => {
                swept.ends.extend(recorded.into_iter().map(|recorded| (open.fence.task, recorded)));
            }
            Err(error) if error.is_connection() => return Err(error),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => worker::leave(db, worker, HOST_LOST).await,
    }
}
