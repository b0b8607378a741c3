//! Deadlines: how long Postgres may take to answer.

use std::time::Duration;

use crate::db::error::{Error, Result};

/// The longest that a statement of the queue itself may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The longest that one address may take to answer.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for an answer on a connection that is somebody else's.
pub async fn within_deadline<T>(
    answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    answer_within(DEADLINE, answer).await
}

/// The same, for what may take longer.
pub async fn answer_within<T>(
    deadline: Duration,
    answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    match tokio::time::timeout(deadline, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(Error::Deadline { seconds: deadline.as_secs() }),
    }
}
