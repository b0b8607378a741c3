//! The check after a recovery of the server: whether the database still has the claims of the worker's runs, and the
//! last end that the worker has recorded. `core/src/lease/recovery.rs` says why this is necessary.
//!
//! The check has a connection of its own, so that it does not wait behind a write that the database refuses.

use std::time::Duration;

use rework_core::{db::dsn::Dsn, lease::recovery::has_runs, task::fence::Fence};
use rustc_hash::FxHashSet;
use tokio::{sync::oneshot, task::spawn_local, time::sleep};

use crate::{database_connection::DatabaseConnection, recorder::Recorder};

/// The pause before a check that the database refused is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Compares the runs of the worker with the database.
pub(crate) struct RecoveryCheck {
    dsn: Dsn,
    application_name: String,
    recorder: Recorder,
    /// The id of the recovery for which a check runs, and its future result. `None` if no check runs.
    pending: Option<(i64, oneshot::Receiver<bool>)>,
    /// The recovery for which the last check found everything. `None` if there was none.
    checked: Option<i64>,
}

impl RecoveryCheck {
    /// Creates the check of a worker. `application_name` is what Postgres shows for its connection.
    pub(crate) fn new(dsn: Dsn, application_name: String, recorder: Recorder) -> RecoveryCheck {
        RecoveryCheck { dsn, application_name, recorder, pending: None, checked: None }
    }

    /// Returns the recovery for which the last check found everything. `None` if there was none.
    pub(crate) fn checked(&self) -> Option<i64> {
        self.checked
    }

    /// Starts the check after a recovery, unless it was done or is running. Returns whether it was done.
    pub(crate) fn start(&mut self, recovery: i64) -> bool {
        if self.checked == Some(recovery) {
            return true;
        }
        if self.pending.as_ref().is_none_or(|(pending, _)| *pending != recovery) {
            self.pending = Some((recovery, self.spawn()));
        }
        false
    }

    /// Waits for the result of the running check. Returns the recovery, and whether the database has everything. Waits
    /// forever if no check runs, and while the database is unavailable. Cancel safe.
    pub(crate) async fn next(&mut self) -> (i64, bool) {
        let Some((recovery, receiver)) = &mut self.pending else {
            return std::future::pending().await;
        };
        // An error means that the task of the check has panicked, so nothing is known.
        let (recovery, is_complete) = (*recovery, receiver.await.unwrap_or(false));
        self.pending = None;
        if is_complete {
            self.checked = Some(recovery);
        }
        (recovery, is_complete)
    }

    fn spawn(&self) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        let (dsn, name) = (self.dsn.clone(), self.application_name.clone());
        let recorder = self.recorder.clone();
        let database = DatabaseConnection::new(dsn, name, recorder.connection_refusals());
        spawn_local(async move {
            let is_complete = is_complete(database, recorder).await;
            // Fails if the worker does not wait any more, because a new check has started.
            let _ = sender.send(is_complete);
        });
        receiver
    }
}

/// Returns whether the database has the claims of all runs of the worker, and the last end that the worker has
/// recorded.
async fn is_complete(mut database: DatabaseConnection, recorder: Recorder) -> bool {
    let mut checked: FxHashSet<Fence> = FxHashSet::default();
    loop {
        let (mut runs, last_end) = recorder.committed();
        runs.retain(|fence| !checked.contains(fence));
        if runs.is_empty() && (last_end.is_none() || !checked.is_empty()) {
            return true;
        }
        let has_them = async |db: &_| has_runs(db, &runs, last_end).await;
        let answer = database.until_answered("the check after a recovery", has_them).await;
        match answer {
            Ok(true) if runs.is_empty() => return true,
            // The reply to a claim may have arrived meanwhile. So the runs that were added are checked, too.
            Ok(true) => checked.extend(runs),
            Ok(false) => return false,
            Err(error) => {
                tracing::error!("the runs cannot be compared with the database: {error}");
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}
