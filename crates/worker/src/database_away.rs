//! The worker's one connection, which comes and goes with the database: made when there is work, given back after a minute
//! without, made again when it breaks.
//!
//! While the database is away, statements are repeated until they are answered (here), claims wait (`work.rs`), ends and
//! lines are kept in memory (`writer.rs`), the runner blocks when too much waits (`recorder.rs`), and the
//! lease decides how long the worker may go on (`keeper.rs`, `core/src/lease/lifeline.rs`).

use std::time::Duration;

use rework_core::db::{
    connect::Db,
    dsn::Dsn,
    error::{Error, Result},
};
use tokio::time::{Instant, sleep};

/// Without work for so long, the connection is given back.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// A connection that comes and goes.
pub(crate) struct Database {
    dsn: Dsn,
    who: String,
    db: Option<Db>,
    used: Instant,
}

impl Database {
    /// Connects when first used.
    pub(crate) fn new(dsn: Dsn, who: String) -> Database {
        Database { dsn, who, db: None, used: Instant::now() }
    }

    /// The connection, made now where there is none.
    pub(crate) async fn get(&mut self) -> Result<&Db> {
        self.used = Instant::now();
        if self.db.as_ref().is_some_and(Db::is_closed) {
            self.db = None;
        }
        match &mut self.db {
            Some(db) => Ok(db),
            empty => {
                let mut db = Db::connect(&self.dsn, &self.who).await?;
                db.keep_plans(&self.dsn).await?;
                Ok(empty.insert(db))
            }
        }
    }

    /// Does it, again and again while the database is away, until it is done or refused.
    pub(crate) async fn until_answered<T>(
        &mut self,
        mut what: impl AsyncFnMut(&Db) -> Result<T>,
    ) -> Result<T> {
        let mut wait = FIRST_RETRY;
        loop {
            let answer = match self.get().await {
                Ok(db) => what(db).await,
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if is_away(&error) => {
                    tracing::debug!("the database is away: {error}");
                    self.db = None;
                    sleep(wait).await;
                    wait = (wait * 2).min(LAST_RETRY);
                }
                answer => return answer,
            }
        }
    }

    /// Where it is.
    pub(crate) fn dsn(&self) -> &Dsn {
        &self.dsn
    }

    /// Does it once. A connection that failed is given up.
    pub(crate) async fn once<T>(&mut self, what: impl AsyncFnOnce(&Db) -> Result<T>) -> Result<T> {
        let answer = what(self.get().await?).await;
        if answer.as_ref().is_err_and(Error::is_connection) {
            self.db = None;
        }
        answer
    }

    /// When the connection is to be given back, if there is one.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.db.as_ref().map(|_| self.used + IDLE)
    }

    /// Gives the connection back if it has not been used for long.
    pub(crate) fn expire(&mut self) {
        if self.expires().is_some_and(|at| at <= Instant::now()) {
            self.db = None;
        }
    }
}

/// A worker that was let in once waits through everything that can come and go, a changed password
/// and a missing database included: it may hold the only copy of a result.
fn is_away(error: &Error) -> bool {
    error.is_connection()
        || matches!(error, Error::Denied { .. } | Error::NoDatabase { .. } | Error::Tls { .. })
}
