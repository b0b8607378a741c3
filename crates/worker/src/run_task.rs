//! Runs one claimed task: validates its input, starts it in a runner (`start_run.rs`), drives the run loop
//! (`run_loop.rs`) until the runner has no run left, and records the end. Other tasks of the same operation may join
//! the loop.

use rework_core::task::{complete::Completion, progress::NewLogLine};

use crate::{
    claimed_run::ClaimedRun,
    context::Context,
    operations::Operation,
    run_loop::RunLoop,
    run_result::RunResult,
    start_run::{NotStarted, start},
    supervisor::LeaseLost,
};

/// Runs a task and the tasks that join it in the same runner. The end of a run is recorded only when none of its
/// processes is left. `Err` if the lease was lost.
pub(crate) async fn run_task(
    context: &mut Context,
    operation: &Operation,
    mut run: ClaimedRun,
) -> Result<(), LeaseLost> {
    let mut lines = Vec::new();
    let started = match operation.validate_input(std::mem::take(&mut run.claimed.input)) {
        Ok(input) => {
            run.claimed.input = input;
            start(context, operation, &run, &mut lines).await
        }
        Err(result) => Err(NotStarted::RunResult(result)),
    };
    context.supervisor.report_busy();
    match started {
        Ok(started) => {
            context.supervisor.report_started(run.claimed.version.operation);
            let mut runs = RunLoop::new(context, operation, started, run, lines);
            let ended = runs.drive().await;
            runs.finish(ended).await
        }
        Err(NotStarted::LeaseLost) => Err(LeaseLost),
        Err(NotStarted::RunResult(RunResult { outcome, reason })) => {
            let fence = run.claimed.fence;
            record_lines(context, &run, lines);
            context.recorder.complete(Completion::new(fence, outcome, reason));
            Ok(())
        }
        Err(NotStarted::Error(error)) => {
            record_lines(context, &run, lines);
            context.start_failed(&run.claimed, &operation.definition.name, &error);
            Ok(())
        }
    }
}

/// Records what a runner wrote before it was ready.
fn record_lines(context: &Context, run: &ClaimedRun, lines: Vec<NewLogLine>) {
    if !lines.is_empty() {
        context.recorder.lines(run.claimed.fence, lines);
    }
}
