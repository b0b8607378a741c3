//! `rework retry-task`: queues tasks again that failed, were aborted or were lost, and delayed or waiting tasks now.
//! Lets flows go on.

use std::process::ExitCode;

use rework_core::{
    db::{connect::Db, error::Error as CoreError},
    flow,
    task::{self, retry::RetryResult, state::State},
};

use super::log_task::unknown_task;
use crate::{
    context::Context,
    error_text::{hinted, usage_error},
    exit::Exit,
    options::task_id,
};

/// Queue failed, aborted, lost, delayed or waiting tasks now, with their full number of attempts. A flow goes on, or
/// makes a new plan
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the tasks
    #[arg(value_name = "TASK", value_parser = task_id, required = true)]
    tasks: Vec<i64>,
    /// Of a flow: you have undone this step, whose revert failed. It counts as reverted
    #[arg(long, value_name = "STEP")]
    reverted: Option<String>,
}

/// Queues the tasks and prints `7 queued` for each, and for a flow what it does now. If a task cannot be retried,
/// prints an error for it, and the exit code is 1.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if args.reverted.is_some() && args.tasks.len() > 1 {
        return Err(usage_error(
            "`--reverted` is about a step of one flow, and several tasks are given",
            "`rework retry-task FLOW --reverted STEP`",
        ));
    }
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for task in args.tasks {
        match retry(&db, task, args.reverted.as_deref()).await? {
            Ok(_) if context.quiet => context.print(task)?,
            Ok(result) => context.print(result)?,
            Err(error) => {
                context.print_error(&error);
                exit = Exit::Error;
            }
        }
    }
    Ok(exit.into())
}

/// Retries a task. Returns what to print: that it was retried, or why not. `Err` if the database cannot be used.
async fn retry(
    db: &Db,
    task: i64,
    reverted: Option<&str>,
) -> anyhow::Result<Result<String, anyhow::Error>> {
    if reverted.is_none() {
        let retried = task::retry::retry(db, task).await?;
        if retried != RetryResult::Flow {
            return Ok(refusal(task, retried).map_or_else(|| Ok(format!("{task} queued")), Err));
        }
    }
    match flow::retry::retry(db, task, reverted).await {
        Ok(result) => Ok(Ok(format!("flow {task}: {result}"))),
        Err(error @ CoreError::Refused { .. }) => Ok(Err(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// Returns the error for a task that was not queued again. `None` if it was queued again, or if it is a flow.
fn refusal(task: i64, retried: RetryResult) -> Option<anyhow::Error> {
    Some(match retried {
        RetryResult::Queued | RetryResult::Flow => return None,
        RetryResult::StepOfFlow { flow, step } => {
            let step = step.map_or_else(|| "a step".to_owned(), |step| format!("step `{step}`"));
            hinted(
                format!("task {task} is {step} of flow {flow}: retry that"),
                format!("`rework retry-task {flow}`; `rework show-task {flow}` shows its steps"),
            )
        }
        RetryResult::NoSuchTask => unknown_task(task),
        RetryResult::Unregistered(operation) => hinted(
            format!("the operation `{operation}` of task {task} is not registered any more"),
            "register it again: `rework register-operations PATH`",
        ),
        RetryResult::NotRetriable(State::Done) => hinted(
            format!(
                "task {task} is done: only failed, aborted, lost, delayed and waiting tasks can be \
                 retried"
            ),
            "schedule a new task: `rework schedule`",
        ),
        RetryResult::NotRetriable(state) => hinted(
            format!("task {task} has not ended: it is {state}"),
            format!("wait until it ends, or abort it: `rework abort-task {task}`"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_refused_with_the_flow_to_retry() {
        let step = RetryResult::StepOfFlow { flow: 7, step: Some("b".to_owned()) };
        let error = refusal(12, step).unwrap();
        assert_eq!(error.to_string(), "task 12 is step `b` of flow 7: retry that");
        assert!(refusal(7, RetryResult::Flow).is_none());
    }
}
