//! A connection to the database that is opened when it is needed, closed after a minute without use, and opened again
//! when it breaks. A worker has one for its writer and one for its lease.
//!
//! While the database is unavailable, statements are repeated here until they are answered. Claims wait (`work.rs`),
//! ends of runs and log lines stay in memory (`writer.rs`), and the runner blocks when too much waits (`recorder.rs`).
//! The lease decides how long the worker may continue (`lease_client.rs`, `core/src/lease/lifeline.rs`).
//!
//! A statement that misses its deadline twice in a row is overdue. That is logged, and the monitor learns of it.

use std::{rc::Rc, time::Duration};

use rework_core::db::{
    connect::Db,
    dsn::Dsn,
    error::{Error, Result},
    size_limit::MISSES,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};

/// A connection that was idle for longer is closed.
pub(crate) const MAX_IDLE: Duration = Duration::from_secs(60);

/// The first pause before a statement is repeated. It doubles with each attempt, up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The purpose of an overdue statement, as a text for people, such as `a claim`.
pub(crate) type OverdueStatement = &'static str;

/// A connection that is opened and closed as needed.
pub(crate) struct DatabaseConnection {
    dsn: Dsn,
    application_name: String,
    db: Option<Db>,
    last_used: Instant,
    /// Notified whenever the server refuses a connection because it has too many.
    refused: Rc<Notify>,
    /// The receiver of overdue statements; `None` if they are only logged.
    overdue: Option<mpsc::UnboundedSender<OverdueStatement>>,
    is_overdue: bool,
}

impl DatabaseConnection {
    /// Creates a connection that is opened when it is first used. `refused` is notified whenever the server refuses it
    /// because it has too many connections.
    pub(crate) fn new(
        dsn: Dsn,
        application_name: String,
        refused: Rc<Notify>,
    ) -> DatabaseConnection {
        DatabaseConnection {
            dsn,
            application_name,
            db: None,
            last_used: Instant::now(),
            refused,
            overdue: None,
            is_overdue: false,
        }
    }

    /// Returns the connection, and a receiver of the statements that are overdue from now on.
    pub(crate) fn reporting_overdue(
        self,
    ) -> (DatabaseConnection, mpsc::UnboundedReceiver<OverdueStatement>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (DatabaseConnection { overdue: Some(sender), ..self }, receiver)
    }

    /// Returns the connection, and opens it if it is closed.
    pub(crate) async fn get(&mut self) -> Result<&Db> {
        self.last_used = Instant::now();
        if self.db.as_ref().is_some_and(Db::is_closed) {
            self.db = None;
        }
        match &mut self.db {
            Some(db) => Ok(db),
            empty => {
                let connected = Db::connect(&self.dsn, &self.application_name).await;
                if matches!(connected, Err(Error::TooManyConnections { .. })) {
                    self.refused.notify_one();
                }
                let mut db = connected?;
                db.enable_prepared_statements(&self.dsn).await?;
                Ok(empty.insert(db))
            }
        }
    }

    /// Executes a statement, and repeats it while the database is unavailable. `what` is what the statement is about,
    /// such as `a claim`.
    pub(crate) async fn until_answered<T>(
        &mut self,
        what: OverdueStatement,
        mut statement: impl AsyncFnMut(&Db) -> Result<T>,
    ) -> Result<T> {
        loop {
            match self.until_overdue(what, &mut statement).await {
                Err(Error::Deadline { .. }) => {}
                answer => return answer,
            }
        }
    }

    /// Executes a statement like [`DatabaseConnection::until_answered`]. But `Err` with [`Error::Deadline`] as soon as
    /// it is overdue, so that the caller can try it with fewer rows.
    pub(crate) async fn until_overdue<T>(
        &mut self,
        what: OverdueStatement,
        mut statement: impl AsyncFnMut(&Db) -> Result<T>,
    ) -> Result<T> {
        let mut pause = FIRST_RETRY;
        let mut missed = 0;
        loop {
            let answer = match self.get().await {
                Ok(db) => statement(db).await,
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if is_unavailable(&error) => {
                    self.db = None;
                    missed = if matches!(error, Error::Deadline { .. }) { missed + 1 } else { 0 };
                    if missed >= MISSES {
                        self.report_overdue(what, &error);
                        return Err(error);
                    }
                    tracing::debug!("the database is unavailable: {error}");
                    sleep(pause).await;
                    pause = (pause * 2).min(LAST_RETRY);
                }
                answer => {
                    self.report_answered();
                    return answer;
                }
            }
        }
    }

    /// Logs that a statement missed its deadline several times in a row, and tells the monitor.
    pub(crate) fn report_overdue(&mut self, what: OverdueStatement, error: &Error) {
        tracing::warn!(
            "{what}: {error}, {MISSES} times in a row; \
             it is tried again, with fewer rows at once if it has several"
        );
        self.is_overdue = true;
        if let Some(receiver) = &self.overdue {
            // The receiver lives as long as the worker.
            let _ = receiver.send(what);
        }
    }

    /// Logs that the database answers again, if a statement was overdue.
    fn report_answered(&mut self) {
        if std::mem::take(&mut self.is_overdue) {
            tracing::info!("the database answers again");
        }
    }

    /// Returns the address of the database.
    pub(crate) fn dsn(&self) -> &Dsn {
        &self.dsn
    }

    /// Closes the connection if a statement on it failed with this error, and the error means that it is broken.
    pub(crate) fn close_after(&mut self, error: &Error) {
        if error.is_connection() {
            self.db = None;
        }
    }

    /// Closes the connection. It is opened again when it is needed.
    pub(crate) fn close(&mut self) {
        self.db = None;
    }

    /// Returns when the connection has been idle for too long; `None` if it is closed.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.db.as_ref().map(|_| self.last_used + MAX_IDLE)
    }

    /// Closes the connection if it has not been used for [`MAX_IDLE`]. Returns whether it was open until now.
    pub(crate) fn expire(&mut self) -> bool {
        if self.expires().is_none_or(|at| at > Instant::now()) {
            return false;
        }
        self.db.take().is_some_and(|db| !db.is_closed())
    }
}

/// Returns whether the error counts as an unavailable database. A refused login and a missing
/// database count, too: the worker had access before, and it may hold the only copy of a result.
fn is_unavailable(error: &Error) -> bool {
    error.is_connection()
        || matches!(error, Error::Denied { .. } | Error::NoDatabase { .. } | Error::Tls { .. })
}
