//! Sweep: whoever lived by a lease that was taken away is dead; what it had is ended. Every monitor may
//! do it, at any time and more than once: each end is recorded behind the fence.

use tokio_postgres::types::Type;

use crate::{
    complete::{Completion, Outcome, Recorded, complete},
    connect::Db,
    error::Result,
    report, worker,
};

/// Why, in words.
pub const HOST_LOST: &str = "host lost";

/// What was swept.
#[derive(Debug, Default)]
pub struct Swept {
    /// Monitors, and their hosts.
    pub monitors: Vec<(i64, String)>,
    /// Ends of runs: (task, what became of it).
    pub ends: Vec<(i64, Recorded)>,
}

/// Records the ends of all who lived by a lease that was taken away.
pub async fn sweep(db: &Db) -> Result<Swept> {
    let mut swept = Swept::default();
    for row in db.query(include_str!("sql/taken_workers.sql"), &[]).await? {
        let id: i64 = row.get(0);
        let open = worker::open_runs(db, id).await?;
        let ends: Vec<Completion> = open
            .iter()
            .map(|open| Completion::new(open.fence, Outcome::Lost, Some(HOST_LOST.to_owned())))
            .collect();
        if !ends.is_empty() {
            let recorded = complete(db, &ends, None).await?;
            swept.ends.extend(ends.iter().map(|end| end.fence.task).zip(recorded));
        }
        report::leave(db, id, HOST_LOST).await?;
    }
    let params = [(&HOST_LOST as _, Type::TEXT)];
    let rows = db.query(include_str!("sql/finish_taken_monitors.sql"), &params).await?;
    swept.monitors = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(swept)
}
