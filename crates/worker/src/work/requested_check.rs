//! Runs a check that the monitor requests.

use super::Worker;
use crate::{not_started::NotStarted, supervisor::LeaseLost};

impl Worker {
    /// Runs the check of an operation that this worker has reported as unavailable, because the monitor requests it.
    pub(super) async fn check(&mut self, operation: i64) -> Result<(), LeaseLost> {
        let Some(version) = self.context.availability.reported(operation) else {
            self.context.allow_claims(operation);
            return Ok(());
        };
        match self.operation_of(version, None).await {
            Ok(operation) => self.context.check_again(&operation, version).await,
            Err(NotStarted::LeaseLost) => Err(LeaseLost),
            Err(NotStarted::Error(_) | NotStarted::RunResult(_)) => {
                self.context.allow_claims(operation);
                Ok(())
            }
        }
    }
}
