//! `rework kill-worker`: have workers killed now, and the task in hand aborted.

use std::process::ExitCode;

use rework_core::ask_worker::Ask;

use super::shutdown_worker;
use crate::context::Context;

/// Have workers killed now; the task in hand is aborted
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The workers
    #[arg(value_name = "WORKER", required = true)]
    workers: Vec<i64>,
}

/// Asks their monitors for it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    shutdown_worker::ask(&args.workers, Ask::Kill, context).await
}
