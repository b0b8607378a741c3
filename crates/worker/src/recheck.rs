//! Runs the check of an operation that this worker has reported as unavailable again, without claiming a task for it.
//! So other hosts can run the tasks meanwhile, and no run is recorded for each check.

use rework_core::task::claim::OperationVersion;
use rework_wire::worker::FromWorker;

use crate::{
    check, command, context::Context, not_started::NotStarted, operations::Operation,
    revision::Revision, start_error::StartError, supervisor::LeaseLost, warm_runners,
};

impl Context {
    /// Runs the check of an operation again, and reports the answer to the monitor. If the check cannot be run now, the
    /// operation counts as available: the claim of a task runs the check then.
    pub(crate) async fn check_again(
        &mut self,
        operation: &Operation,
        version: OperationVersion,
    ) -> Result<(), LeaseLost> {
        match check_without_task(self, operation, version).await {
            Err(NotStarted::LeaseLost) => return Err(LeaseLost),
            Err(NotStarted::Error(
                error @ (StartError::Unavailable(_) | StartError::NoAnswer(_)),
            )) => self.report_start_fault(version, &operation.definition.name, &error),
            Ok(()) | Err(NotStarted::Error(_) | NotStarted::RunResult(_)) => {
                self.allow_claims(version.operation);
            }
        }
        Ok(())
    }

    /// Lets this worker claim tasks of an operation that it has reported as unavailable, and tells the monitor.
    pub(crate) fn allow_claims(&mut self, operation: i64) {
        self.recorder.unblock_operation(operation);
        self.supervisor.send(&FromWorker::OperationAvailable { operation });
    }
}

/// Runs a check. That of a function needs a warm runner; without one, nothing is checked. `Err` with
/// [`StartError::Unavailable`] if the operation is not available.
async fn check_without_task(
    context: &mut Context,
    operation: &Operation,
    version: OperationVersion,
) -> Result<(), NotStarted> {
    let path = &operation.code.path;
    let revision = Revision::of(&operation.code, version.revision)
        .map_err(|source| StartError::File { path: path.clone(), source })?;
    if operation.is_command() {
        let command = command::find(operation)?;
        return check::of_command(context, operation, &command, (version, None), &revision).await;
    }
    if let Some(mut runner) = context.warm_runners.take(&revision).await {
        // The limit is that of the last run, perhaps of another operation.
        if runner.limit_memory(operation.definition.limits.memory_bytes).is_err() {
            warm_runners::end(runner).await;
            return Ok(());
        }
        let runner = check::in_runner(context, operation, (version, None), runner).await?;
        context.warm_runners.put(runner).await;
    }
    Ok(())
}
