//! The sweep after a lost host: it records as lost all runs of workers whose lease was taken away,
//! and the ends of these workers and their monitors. Any monitor may do the sweep, at any time and
//! more than once, because every end is recorded with its fence: the number and the token of the
//! run, so that the record of a run that is not current changes nothing.

use std::time::Instant;

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

/// The reason that is recorded for runs, workers and monitors whose lease was taken away.
pub const HOST_LOST: &str = "host lost";

/// The result of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// The monitors that were recorded as ended, with their hosts.
    pub monitors: Vec<(i64, String)>,
    /// The tasks whose runs were ended, and what was recorded for each.
    pub ends: Vec<(i64, Recorded)>,
    /// The workers that could not be recorded, with the error. The next sweep tries to record them
    /// again.
    pub postponed: Vec<(i64, Error)>,
}

/// Records the ends of all runs, workers and monitors whose lease was taken away. `Err` if the
/// connection is lost; other errors only postpone a worker.
pub async fn sweep(db: &Db) -> Result<Swept> {
    let mut swept = Swept::default();
    for row in db.query(include_str!("sql/workers_to_sweep.sql"), &[]).await? {
        let worker: i64 = Columns::new(&row).get("id")?;
        match sweep_worker(db, worker, &mut swept).await {
            Ok(()) => {}
            Err(error) if error.is_connection() => return Err(error),
            // Another session may hold a lock. That must not keep the other workers from being swept.
            Err(error) => swept.postponed.push((worker, error)),
        }
    }
    let params = [(&HOST_LOST as _, Type::TEXT)];
    let rows = db.query(include_str!("sql/finish_lost_monitors.sql"), &params).await?;
    db.query(include_str!("sql/close_swept_leases.sql"), &[]).await?;
    for row in &rows {
        let row = Columns::of("monitor", "id", row);
        swept.monitors.push((row.get("id")?, row.get("host")?));
    }
    Ok(swept)
}

/// Records the runs of a worker as lost, each with a statement of its own, because another session may have locked one
/// of the tasks. Then records the end of the worker.
async fn sweep_worker(db: &Db, worker: i64, swept: &mut Swept) -> Result<()> {
    let mut failed = None;
    for open in worker::open_runs(db, worker).await? {
        let end = Completion {
            // The run may have started. If no start is recorded, its end is the only moment that is known.
            started: Some(Instant::now()),
            ..Completion::new(open.fence, Outcome::Lost, Some(HOST_LOST.to_owned()))
        };
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
        None => worker::finish(db, worker, HOST_LOST).await,
    }
}
