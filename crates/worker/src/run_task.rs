//! A claimed task is run, and those that may follow it or run beside it in the same runner: started, driven to the
//! end, processes removed, ends recorded.

use rework_core::task::complete::Completion;

use crate::{
    claimed_run::ClaimedRun,
    context::Context,
    life::LeaseLost,
    operations::Operation,
    run_loop::RunLoop,
    start_run::{NotStarted, start},
    verdict::Verdict,
};

/// Runs a task and whatever joins it in the same runner. The end of each run is recorded when no process of it
/// is left.
pub(crate) async fn run_task(
    context: &mut Context,
    operation: &Operation,
    mut run: ClaimedRun,
) -> Result<(), LeaseLost> {
    let mut lines = Vec::new();
    let started = match operation.fitting(std::mem::take(&mut run.claimed.input)) {
        Ok(input) => {
            run.claimed.input = input;
            start(context, operation, &run, &mut lines).await
        }
        Err(verdict) => Err(NotStarted::Verdict(verdict)),
    };
    context.life.set_to_work();
    match started {
        Ok(started) => {
            let mut runs = RunLoop::new(context, operation, started, run, lines);
            let ended = runs.drive().await;
            runs.finish(ended).await
        }
        Err(NotStarted::LeaseLost) => Err(LeaseLost),
        Err(NotStarted::Verdict(Verdict { outcome, reason })) => {
            let fence = run.claimed.fence;
            if !lines.is_empty() {
                context.recorder.lines(fence, lines);
            }
            context.recorder.complete(Completion::new(fence, outcome, reason));
            Ok(())
        }
    }
}
