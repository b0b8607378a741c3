//! Firing schedules: the tasks of schedules that are due are made.

use rework_core::{
    cron::fire::{Tick, fire},
    db::{connect::Db, error::Result},
};

/// Makes the tasks of the schedules that are due in these domains.
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
