//! The reaction of the writer if the database refuses a write: because of the value itself, or for a reason that
//! passes, such as a full disk or a read-only server.

use std::time::Duration;

use rework_core::db::{
    connect::Db,
    error::{Error, Result},
};
use tokio::time::sleep;

use super::{DbWriter, entry::AnswerSender};
use crate::database_connection::{DatabaseConnection, OverdueStatement};

/// The pause before a write that the database refused is tried again.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(1);

impl DbWriter {
    /// Repeats a write until it is stored, or until the database rejects the value itself or finds the row locked.
    /// Other refusals (a full disk, a read-only server) pass, and what a run left exists only in this process.
    ///
    /// `Err` with [`Error::Deadline`] if a write of several `rows` is overdue. Then the caller tries fewer at once.
    pub(super) async fn retry_until_stored<T>(
        &mut self,
        what: OverdueStatement,
        rows: usize,
        mut write: impl AsyncFnMut(&Db) -> Result<T>,
    ) -> Result<T> {
        loop {
            let answer = if rows > 1 {
                self.database.until_overdue(what, &mut write).await
            } else {
                self.database.until_answered(what, &mut write).await
            };
            match answer {
                Err(Error::Deadline { seconds }) => return Err(Error::Deadline { seconds }),
                Err(error) if !error.is_data() && !error.is_locked() => {
                    tracing::error!("{what} cannot be written: {error}");
                    sleep(REFUSED_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Repeats a request until the database accepts it, or refuses it for a reason that does not pass, or nobody waits for
/// the answer any more. A fault of the database must not become the end of a task.
pub(super) async fn until_accepted<T>(
    db: &mut DatabaseConnection,
    what: OverdueStatement,
    mut request: impl AsyncFnMut(&Db) -> Result<T>,
    answer: AnswerSender<T>,
) {
    loop {
        match db.until_answered(what, &mut request).await {
            Err(error) if error.may_pass() && !answer.is_closed() => {
                tracing::error!("{what} is refused by the database: {error}");
                sleep(REFUSED_PAUSE).await;
            }
            result => {
                // Fails if nobody waits any more.
                let _ = answer.send(result);
                return;
            }
        }
    }
}

/// Logs a write that was refused and that nobody waits for. If the run is not current any more, this is noticed when
/// its end is recorded.
pub(super) fn log_refused_write(answer: Result<bool>) {
    match answer {
        Ok(true) => {}
        Ok(false) => tracing::debug!("a write of a run that is not current was refused"),
        Err(error) => tracing::warn!("a write of a run failed: {error}"),
    }
}
