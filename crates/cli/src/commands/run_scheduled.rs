//! `rework run-scheduled`: schedules the task of a schedule now, in addition to its rule.

use std::process::ExitCode;

use rework_core::cron::manage::run_now;

use crate::{context::Context, exit::Exit};

/// Schedule the task of a schedule now, and print its id
///
/// This also works for a paused schedule. The next time at which the schedule fires does not change.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The id of the schedule
    schedule: i64,
}

/// Schedules the task and prints its id.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let Some(task) = run_now(&db, args.schedule).await? else {
        return Err(super::unknown_schedule(args.schedule));
    };
    context.print(task)?;
    Ok(Exit::Done.into())
}
