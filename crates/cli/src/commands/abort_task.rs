//! `rework abort-task`: ask for the end of tasks.

use std::process::ExitCode;

use rework_core::task::{self, abort::Asked, state::State};

use super::wait_task;
use crate::{context::Context, exit::Exit};

/// Ask for the end of tasks: what has not begun never will, what runs is killed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<i64>,
    /// Why; it completes the phrase `aborted …`
    #[arg(long, value_name = "TEXT", default_value = "from the command line")]
    reason: String,
    /// Wait until no process of them is left
    #[arg(long)]
    wait: bool,
}

/// Asks for it, and prints what became of it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut aborted = false;
    let mut aborting = Vec::new();
    for task in args.tasks {
        match task::abort::abort(&db, task, &args.reason).await {
            Ok(Asked::Now(State::Aborting)) if args.wait => aborting.push(task),
            Ok(Asked::Now(state)) => {
                aborted = true;
                context.print(format_args!("{task} {state}"))?;
            }
            Ok(Asked::Ended(state)) => {
                context.complain(&anyhow::anyhow!("task {task} has ended before: it is {state}"));
            }
            Err(error @ rework_core::db::error::Error::Refused { .. }) => {
                context.complain(&error.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    if !aborting.is_empty() {
        let print = |end: &rework_core::task::wait::Status| {
            aborted |= end.state == State::Aborted;
            context.print(format_args!("{} {}", end.id, end.state))
        };
        let exit = wait_task::wait(context, &aborting, None, print).await?;
        if exit == Exit::Interrupted.into() {
            return Ok(exit);
        }
    }
    Ok(if aborted { Exit::Done } else { Exit::Error }.into())
}
