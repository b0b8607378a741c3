//! The error of storing a schedule, of firing it (making its tasks for the instants at which it is
//! due), or of resuming it.

use crate::{cron::rule::RuleError, db::error::Error};

/// An error of storing, firing or resuming a schedule.
#[derive(Debug, thiserror::Error)]
pub enum CronError {
    /// The cron rule is not valid, or it never fires.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Postgres did not answer, or it refused the statement.
    #[error(transparent)]
    Database(#[from] Error),
}

impl CronError {
    /// Returns advice for the user, as a sentence with a command to type. `None` if there is no
    /// advice.
    pub fn hint(&self) -> Option<String> {
        match self {
            CronError::Rule(error) => Some(error.hint().to_owned()),
            CronError::Database(error) => error.hint(),
        }
    }
}
