//! Firing schedules: creating the tasks of schedules that are due. Which instants are due is decided in
//! `core/src/cron/rule.rs`.

use rework_core::{
    cron::fire::{Firing, fire},
    db::{connect::Db, error::Result},
};

/// Creates the tasks of the schedules that are due in these domains, and logs each one.
pub(crate) async fn fire_schedules(db: &Db, domains: &[String]) -> Result<()> {
    fire(db, domains, |schedule, firing| match firing {
        Ok(Firing { due_at, task: Some(task), .. }) => {
            tracing::info!("schedule {schedule}, due at {due_at}: task {task} created");
        }
        Ok(Firing { due_at, reason, .. }) => {
            let reason = reason.unwrap_or_default();
            tracing::warn!("schedule {schedule}, due at {due_at}: no task created: {reason}");
        }
        Err(error) => tracing::error!("cannot fire schedule {schedule}: {error}"),
    })
    .await
}
