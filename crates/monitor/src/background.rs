//! Background jobs: work on the database that runs while the event loop goes on.

use std::{cell::Cell, rc::Rc};

use rework_core::db::{connect::Db, error::Result};
use tokio::task::spawn_local;

/// One kind of job. At most one job of a kind runs at a time. A failed job is only logged: the next poll that finds
/// work for it starts it again.
#[derive(Debug, Default)]
pub(crate) struct BackgroundJob(Rc<Cell<bool>>);

impl BackgroundJob {
    /// Starts the job, unless it is already running or `db` is `None` because the database is unavailable. `what`
    /// completes the message "cannot … now".
    pub(crate) fn start(
        &self,
        what: &'static str,
        db: Option<Rc<Db>>,
        job: impl AsyncFnOnce(&Db) -> Result<()> + 'static,
    ) {
        let Some(db) = db.filter(|_| !self.0.replace(true)) else { return };
        let running = Rc::clone(&self.0);
        spawn_local(async move {
            if let Err(error) = job(&db).await {
                tracing::warn!("cannot {what} now: {error}");
            }
            running.set(false);
        });
    }
}
