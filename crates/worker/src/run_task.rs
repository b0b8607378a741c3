//! Runs one claimed task: validates its input, starts it in a runner (`start_run.rs`), drives the run loop
//! (`run_loop.rs`) until the runner has no run left, and records the end. Other tasks of the same operation may join
//! the loop.

use rework_core::task::complete::Completion;

use crate::{
    active_run::ActiveRun, claimed_run::ClaimedRun, context::Context, not_started::NotStarted,
    operations::Operation, run_loop::RunLoop, run_result::RunResult, start_run::start,
    supervisor::LeaseLost,
};

/// Runs a task and the tasks that join it in the same runner. The end of a run is recorded only when none of its
/// processes is left. `Err` if the lease was lost.
pub(crate) async fn run_task(
    context: &mut Context,
    operation: &Operation,
    run: ClaimedRun,
) -> Result<(), LeaseLost> {
    let mut run = ActiveRun::new(run);
    let started = match operation.validate_input(std::mem::take(&mut run.run.claimed.input)) {
        Ok(input) => {
            run.run.claimed.input = input;
            start(context, operation, &mut run).await
        }
        Err(result) => Err(NotStarted::RunResult(result)),
    };
    context.supervisor.report_busy();
    match started {
        Ok(started) => {
            context.supervisor.report_started(run.run.claimed.version.operation);
            let mut runs = RunLoop::new(context, operation, started, run);
            let ended = runs.drive().await;
            runs.finish(ended).await
        }
        Err(NotStarted::LeaseLost) => Err(LeaseLost),
        Err(NotStarted::RunResult(RunResult { outcome, reason })) => {
            run.flush_last(&context.recorder);
            context.recorder.complete(Completion::new(run.fence(), outcome, reason));
            Ok(())
        }
        Err(NotStarted::Error(error)) => {
            run.flush_last(&context.recorder);
            context.start_failed(&run.run.claimed, &operation.definition.name, &error);
            Ok(())
        }
    }
}
