//! Background jobs: work on the database beside the event loop.

use std::{cell::Cell, rc::Rc};

use rework_core::db::{connect::Db, error::Result};
use tokio::task::spawn_local;

/// One kind of job, of which at most one runs at a time. A job that failed is begun again by the
/// next poll that finds it necessary.
#[derive(Debug, Default)]
pub(crate) struct BackgroundJob(Rc<Cell<bool>>);

impl BackgroundJob {
    /// Begins the job, unless it is running or the database is away.
    pub(crate) fn begin(
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
