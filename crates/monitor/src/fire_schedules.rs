//! Firing schedules: creating the tasks of schedules that are due. Which instants are due is decided in
//! `core/src/cron/due.rs`.

use std::time::Duration;

use rework_core::{
    cron::fire::{FiredPage, Firing, fire},
    db::{connect::Db, error::Result, size_limit::SizeLimit},
};

use crate::{event::Event, inbox::Inbox};

/// If more tasks than this are created together, only their number is logged.
const LOGGED_EACH: usize = 20;

/// Creates the tasks of the schedules that are due in these domains, and logs them. `size` limits how many are created
/// together. Sends to `inbox` how late they are.
pub(crate) async fn fire_schedules(
    db: &Db,
    domains: &[String],
    size: &SizeLimit,
    inbox: &Inbox,
) -> Result<()> {
    let mut late = Duration::ZERO;
    fire(db, domains, size, |page| {
        log(&page);
        // The first page has the schedules that have waited for the longest time, also those that cannot be fired.
        late = late.max(page.late);
        inbox.send(Event::SchedulesFired { late });
    })
    .await
}

fn log(page: &FiredPage) {
    let created = page.firings.iter().filter(|firing| firing.task.is_some()).count();
    for Firing { schedule, due_at, task, reason } in &page.firings {
        match task {
            Some(task) if created <= LOGGED_EACH => {
                tracing::info!("schedule {schedule}, due at {due_at}: task {task} created");
            }
            Some(_) => {}
            None => {
                let reason = reason.as_deref().unwrap_or_default();
                tracing::warn!("schedule {schedule}, due at {due_at}: no task created: {reason}");
            }
        }
    }
    if created > LOGGED_EACH {
        tracing::info!("{created} tasks created for schedules that were due");
    }
    for (schedule, error) in &page.failures {
        tracing::error!("cannot fire schedule {schedule}: {error}");
    }
}
