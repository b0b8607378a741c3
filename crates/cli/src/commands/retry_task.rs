//! `rework retry-task`: tasks that ended badly are queued again.

use std::process::ExitCode;

use rework_core::task::{self, retry::Retried, state::State};

use super::log_task::unknown;
use crate::{context::Context, exit::Exit, report::hinted};

/// Queue tasks again that failed, were aborted or lost, with all their attempts
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<i64>,
}

/// Queues them, and prints `7 queued`; those that cannot be are named, and the exit code is 1.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for task in args.tasks {
        match refusal(task, task::retry::retry(&db, task).await?) {
            None if context.quiet => context.print(task)?,
            None => context.print(format_args!("{task} queued"))?,
            Some(error) => {
                context.complain(&error);
                exit = Exit::Error;
            }
        }
    }
    Ok(exit.into())
}

fn refusal(task: i64, retried: Retried) -> Option<anyhow::Error> {
    Some(match retried {
        Retried::Queued => return None,
        Retried::Unknown => unknown(task),
        Retried::Unregistered(operation) => hinted(
            format!("the operation `{operation}` of task {task} is not registered any more"),
            "register it again: `rework register-operations PATH`",
        ),
        Retried::NotFrom(State::Done) => hinted(
            format!("task {task} is done: only what failed, was aborted or was lost is retried"),
            "schedule another one: `rework schedule`",
        ),
        Retried::NotFrom(state) => hinted(
            format!("task {task} has not ended: it is {state}"),
            format!("wait for its end, or end it: `rework abort-task {task}`"),
        ),
    })
}
