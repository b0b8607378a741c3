//! `rework pause-scheduled`: pauses schedules. `resume_scheduled.rs` resumes them.

use std::process::ExitCode;

use rework_core::cron::manage::{PauseResult, pause};

use crate::{context::Context, exit::Exit};

/// Pause schedules: they schedule no tasks until they are resumed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the schedules
    #[arg(value_name = "SCHEDULE", required = true)]
    schedules: Vec<i64>,
}

/// Pauses the schedules and prints each one that was paused by this call.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for id in args.schedules {
        match pause(&db, id).await? {
            PauseResult::Changed => context.print(format_args!("{id} paused"))?,
            PauseResult::Unchanged => context.note(format_args!("schedule {id} is already paused")),
            PauseResult::NoSuchSchedule => {
                context.print_error(&super::unknown_schedule(id));
                exit = Exit::Error;
            }
        }
    }
    Ok(exit.into())
}
