//! `rework resume-scheduled`: resumes schedules that were paused with `rework pause-scheduled`.

use std::process::ExitCode;

use rework_core::cron::manage::{PauseResult, resume};

use crate::{context::Context, exit::Exit};

/// Resume paused schedules: from now on they schedule tasks again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the schedules
    #[arg(value_name = "SCHEDULE", required = true)]
    schedules: Vec<i64>,
}

/// Resumes the schedules and prints each one that was resumed by this call.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for id in args.schedules {
        match resume(&db, id).await? {
            PauseResult::Changed => context.print(format_args!("{id} resumed"))?,
            PauseResult::Unchanged => context.note(format_args!("schedule {id} is not paused")),
            PauseResult::NoSuchSchedule => {
                context.print_error(&super::unknown_schedule(id));
                exit = Exit::Error;
            }
        }
    }
    Ok(exit.into())
}
