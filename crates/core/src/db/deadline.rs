//! Time limits for Postgres. They are enforced on our side: no session has a `statement_timeout`, because session
//! settings do not work behind a pooler in transaction mode.

use std::time::Duration;

use crate::db::error::{Error, Result};

/// Time limit of an ordinary statement. Normally these take milliseconds; after this time the server or the network
/// is assumed to hang.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for an answer of Postgres for at most [`DEADLINE`].
///
/// For connections that the caller owns: unlike [`Db::within`], it does not close the connection after the deadline.
///
/// [`Db::within`]: crate::db::connect::Db::within
///
/// # Errors
///
/// `Err` if Postgres refuses the statement or does not answer in time.
pub async fn within_deadline<T>(
    answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    answer_within(DEADLINE, answer).await
}

/// Waits for an answer of Postgres for at most `deadline`. Otherwise like [`within_deadline`].
pub async fn answer_within<T>(
    deadline: Duration,
    answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    match tokio::time::timeout(deadline, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(Error::Deadline { seconds: deadline.as_secs() }),
    }
}
