//! `rework resume-scheduled`: schedules that are to rest, or not any more.

use std::process::ExitCode;

use rework_core::cron::manage::{Held, resume};

use crate::{context::Context, exit::Exit};

/// Resume schedules: from now on they make tasks again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schedules
    #[arg(value_name = "SCHEDULE", required = true)]
    schedules: Vec<i64>,
}

/// Does it, and prints those of which it is so.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for id in args.schedules {
        match resume(&db, id).await? {
            Held::Now => context.print(format_args!("{id} resumed"))?,
            Held::Already => context.note(format_args!("schedule {id} was not paused")),
            Held::Unknown => {
                context.complain(&super::unknown_schedule(id));
                exit = Exit::Error;
            }
        }
    }
    Ok(exit.into())
}
