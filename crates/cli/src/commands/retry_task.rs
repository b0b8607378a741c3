//! `rework retry-task`: queues tasks again that failed, were aborted or were lost, and delayed or waiting tasks now.

use std::process::ExitCode;

use rework_core::task::{self, retry::RetryResult, state::State};

use super::log_task::unknown_task;
use crate::{context::Context, error_text::hinted, exit::Exit, options::task_id};

/// Queue failed, aborted, lost, delayed or waiting tasks now, with their full number of attempts
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the tasks
    #[arg(value_name = "TASK", value_parser = task_id, required = true)]
    tasks: Vec<i64>,
}

/// Queues the tasks and prints `7 queued` for each. If a task cannot be queued, prints an error for it, and the exit
/// code is 1.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for task in args.tasks {
        match refusal(task, task::retry::retry(&db, task).await?) {
            None if context.quiet => context.print(task)?,
            None => context.print(format_args!("{task} queued"))?,
            Some(error) => {
                context.print_error(&error);
                exit = Exit::Error;
            }
        }
    }
    Ok(exit.into())
}

/// Returns the error for a task that was not queued again. `None` if it was queued again.
fn refusal(task: i64, retried: RetryResult) -> Option<anyhow::Error> {
    Some(match retried {
        RetryResult::Queued => return None,
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
