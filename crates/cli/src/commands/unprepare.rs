//! `rework unprepare`: take schedules away.

use std::process::ExitCode;

use rework_core::cron;

use crate::{context::Context, exit::Exit};

/// Take schedules away; the tasks that they made stay
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schedules
    #[arg(value_name = "SCHEDULE", required = true)]
    schedules: Vec<i64>,
    /// Do not ask, though the database is one of production
    #[arg(short, long)]
    yes: bool,
}

/// Takes them away, and prints how many each was.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if !context.may_destroy("take schedules away", args.yes)? {
        context.print("Ok, nothing has been done.")?;
        return Ok(Exit::Done.into());
    }
    let db = context.open().await?;
    let mut all = true;
    for id in args.schedules {
        let removed = cron::manage::unprepare(&db, id).await?;
        all &= removed == 1;
        context.print(format_args!("{id} : removed {removed} prepared operation"))?;
    }
    Ok(if all { Exit::Done } else { Exit::Error }.into())
}
