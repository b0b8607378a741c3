//! `rework unprepare`: deletes schedules. `prepare.rs` creates them.

use std::process::ExitCode;

use rework_core::cron;

use crate::{context::Context, exit::Exit};

/// Delete schedules; the tasks that they scheduled stay
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the schedules
    #[arg(value_name = "SCHEDULE", required = true)]
    schedules: Vec<i64>,
    /// Do not ask for confirmation, even if the database is marked as production
    #[arg(short, long)]
    yes: bool,
}

/// Deletes the schedules and prints a line for each, in the wording of the Python rework. The exit code is 1 if one of
/// them does not exist.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if !context.confirm_destructive("delete schedules", args.yes)? {
        context.print("Ok, nothing has been done.")?;
        return Ok(Exit::Done.into());
    }
    let db = context.open().await?;
    let mut all_removed = true;
    for id in args.schedules {
        let removed = cron::manage::remove(&db, id).await?;
        all_removed &= removed == 1;
        context.print(format_args!("{id} : removed {removed} prepared operation"))?;
    }
    Ok(if all_removed { Exit::Done } else { Exit::Error }.into())
}
