//! `rework run-scheduled`: a schedule's task, now.

use std::process::ExitCode;

use rework_core::cron::manage::run_now;

use crate::{context::Context, exit::Exit};

/// Make a task of a schedule now, and print its id
///
/// Paused or not; when it comes due does not change.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schedule
    schedule: i64,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let Some(task) = run_now(&db, args.schedule).await? else {
        return Err(super::unknown_schedule(args.schedule));
    };
    context.print(task)?;
    Ok(Exit::Done.into())
}
