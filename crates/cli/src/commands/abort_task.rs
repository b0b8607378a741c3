//! `rework abort-task`: aborts tasks, and optionally waits until their processes have ended.

use std::process::ExitCode;

use rework_core::task::{self, abort::AbortResult, state::State};

use super::wait_task;
use crate::{context::Context, exit::Exit, options::task_id};

/// Abort tasks: a waiting task never starts, a running task is stopped, and killed after its grace period. The steps of
/// a flow are reverted
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the tasks
    #[arg(value_name = "TASK", value_parser = task_id, required = true)]
    tasks: Vec<i64>,
    /// The reason; it completes the phrase `aborted …`
    #[arg(long, value_name = "TEXT", default_value = "from the command line")]
    reason: String,
    /// Wait until all processes of the tasks have ended
    #[arg(long)]
    wait: bool,
    /// Of a flow: leave the steps as they are, instead of reverting those that have run
    #[arg(long)]
    no_revert: bool,
}

/// Aborts the tasks and prints the new state of each. The exit code is 1 if no task was aborted.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut aborted = false;
    let mut aborting = Vec::new();
    for task in args.tasks {
        let result = if args.no_revert {
            task::abort::abort_without_revert(&db, task, &args.reason).await
        } else {
            task::abort::abort(&db, task, &args.reason).await
        };
        match result {
            Ok(AbortResult::Accepted(State::Aborting)) if args.wait => aborting.push(task),
            Ok(AbortResult::Accepted(state)) => {
                aborted = true;
                context.print(format_args!("{task} {state}"))?;
            }
            Ok(AbortResult::AlreadyEnded(state)) => {
                context
                    .print_error(&anyhow::anyhow!("task {task} has already ended: it is {state}"));
            }
            Err(error @ rework_core::db::error::Error::Refused { .. }) => {
                context.print_error(&error.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    if !aborting.is_empty() {
        let print = |end: &rework_core::task::wait::TaskStatus| {
            aborted |= end.state == State::Aborted;
            wait_task::note_stuck(context, end);
            context.print(format_args!("{} {}", end.id, end.state))
        };
        let exit = wait_task::wait(context, &aborting, None, print).await?;
        if exit == Exit::Interrupted.into() {
            return Ok(exit);
        }
    }
    Ok(if aborted { Exit::Done } else { Exit::Error }.into())
}
