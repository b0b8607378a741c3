//! `rework kill-worker`: have workers killed now, and the task in hand aborted.

use std::process::ExitCode;

use rework_core::fleet::ask_worker::Ask;

use super::shutdown_worker;
use crate::{context::Context, exit::Exit};

/// Have workers killed now; the task in hand is aborted
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The workers
    #[arg(value_name = "WORKER", required = true)]
    workers: Vec<i64>,
    /// Do not ask, though the database is one of production
    #[arg(short, long)]
    yes: bool,
}

/// Asks their monitors for it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if !context.may_destroy("kill workers", args.yes)? {
        context.print("Ok, nothing has been done.")?;
        return Ok(Exit::Done.into());
    }
    shutdown_worker::ask(&args.workers, Ask::Kill, context).await
}
