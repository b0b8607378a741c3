//! Why a schedule was not added, fired or resumed.

use crate::{cron::rule::RuleError, db::error::Error};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum CronError {
    /// Its rule cannot be read, or never comes due.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Postgres did not answer, or refused.
    #[error(transparent)]
    Database(#[from] Error),
}

impl CronError {
    /// What to do about it, as a sentence with a command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            CronError::Rule(error) => Some(error.hint().to_owned()),
            CronError::Database(error) => error.hint(),
        }
    }
}
