//! Firing: the tasks of schedules that are due are made beside the loop, one round at a time.

use std::{cell::Cell, rc::Rc};

use rework_core::{
    connect::Db,
    error::Result,
    fire::{Tick, fire},
};
use tokio::task::spawn_local;

/// Whether a round is under way.
#[derive(Debug, Default)]
pub(crate) struct Firing {
    under_way: Rc<Cell<bool>>,
}

impl Firing {
    /// Begins a round. What it leaves is due at the next look.
    pub(crate) fn begin(&self, db: Option<Rc<Db>>, domains: Vec<String>) {
        let Some(db) = db.filter(|_| !self.under_way.replace(true)) else { return };
        let under_way = Rc::clone(&self.under_way);
        spawn_local(async move {
            if let Err(error) = fire(&db, &domains, say).await {
                tracing::warn!("schedules are fired later: {error}");
            }
            under_way.set(false);
        });
    }
}

fn say(schedule: i64, tick: Result<Tick>) {
    match tick {
        Ok(Tick { due_at, task: Some(task), .. }) => {
            tracing::info!("schedule {schedule}, due at {due_at}: task {task}");
        }
        Ok(Tick { due_at, reason, .. }) => {
            let reason = reason.unwrap_or_default();
            tracing::warn!("schedule {schedule}, due at {due_at}, makes no task: {reason}");
        }
        Err(error) => tracing::error!("schedule {schedule} cannot be fired: {error}"),
    }
}
