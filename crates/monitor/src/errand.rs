//! Errands: what is done beside the loop, one at a time of each kind, and again at the next look where
//! it failed.

use std::{cell::Cell, rc::Rc};

use rework_core::{
    cron::fire::{Tick, fire},
    db::{connect::Db, error::Result},
    fleet::sweep::{HOST_LOST, sweep},
    lease::{self, row::Seen},
};
use tokio::task::spawn_local;

use crate::verdicts;

/// One kind of errand.
#[derive(Debug, Default)]
pub(crate) struct Errand(Rc<Cell<bool>>);

impl Errand {
    /// Begins it, unless it is under way or the database is away.
    pub(crate) fn begin(
        &self,
        what: &'static str,
        db: Option<Rc<Db>>,
        errand: impl AsyncFnOnce(&Db) -> Result<()> + 'static,
    ) {
        let Some(db) = db.filter(|_| !self.0.replace(true)) else { return };
        let under_way = Rc::clone(&self.0);
        spawn_local(async move {
            if let Err(error) = errand(&db).await {
                tracing::warn!("cannot {what} now: {error}");
            }
            under_way.set(false);
        });
    }
}

/// Makes the tasks of schedules that are due.
pub(crate) async fn fire_schedules(db: &Db, domains: &[String]) -> Result<()> {
    fire(db, domains, |schedule, tick| match tick {
        Ok(Tick { due_at, task: Some(task), .. }) => {
            tracing::info!("schedule {schedule}, due at {due_at}: task {task}");
        }
        Ok(Tick { due_at, reason, .. }) => {
            let reason = reason.unwrap_or_default();
            tracing::warn!("schedule {schedule}, due at {due_at}, makes no task: {reason}");
        }
        Err(error) => tracing::error!("schedule {schedule} cannot be fired: {error}"),
    })
    .await
}

/// Takes dead leases away, and sweeps after them.
pub(crate) async fn take_leases(db: &Db, dead: &[Seen]) -> Result<()> {
    let mut taken = 0;
    for seen in dead {
        if lease::row::take(db, *seen).await? {
            tracing::warn!("lease {} has not moved for too long: it is taken away", seen.lease.id);
            taken += 1;
        }
    }
    if taken > 0 { sweep_up(db).await } else { Ok(()) }
}

/// Records the ends of those whose lease was taken away.
pub(crate) async fn sweep_up(db: &Db) -> Result<()> {
    let swept = sweep(db).await?;
    for (id, host) in swept.monitors {
        tracing::warn!("monitor {id} on {host} is taken for dead");
    }
    for (worker, error) in swept.left {
        tracing::warn!("what worker {worker} had is closed later: {error}");
    }
    verdicts::say(swept.ends.into_iter().map(|(task, recorded)| (task, recorded, HOST_LOST)));
    Ok(())
}
