//! `rework kill-worker`: requests that monitors kill workers at once. A task that such a worker runs is aborted.

use std::process::ExitCode;

use rework_core::fleet::stop_worker::StopMode;

use super::shutdown_worker;
use crate::{context::Context, exit::Exit};

/// Kill workers at once; the task that a worker runs is aborted
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the workers
    #[arg(value_name = "WORKER", required = true)]
    workers: Vec<i64>,
    /// Do not ask for confirmation, even if the database is marked as production
    #[arg(short, long)]
    yes: bool,
}

/// Requests the kill of each worker, after a confirmation if the database is marked as production.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if !context.confirm_destructive("kill workers", args.yes)? {
        context.print("Ok, nothing has been done.")?;
        return Ok(Exit::Done.into());
    }
    shutdown_worker::request(&args.workers, StopMode::Kill, context).await
}
