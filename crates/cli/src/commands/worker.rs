//! `rework worker`: the hidden command with which a monitor starts a worker. The worker receives its configuration and
//! the database over its standard input, which is a socket to the monitor.

use std::process::ExitCode;

use rework_worker::WorkerError;

use crate::{context::Context, error_text::hinted};

/// Run tasks for a monitor, which starts this command and controls it over standard input
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The domain of the worker; it only makes the worker recognisable in a list of processes
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
}

/// Runs until the monitor stops the worker or the worker reaches one of its limits.
pub async fn run(Args { domain: _ }: Args, _context: &Context) -> anyhow::Result<ExitCode> {
    rework_worker::run().await.map_err(|error| match error {
        WorkerError::NoMonitor => hinted(error.to_string(), "start one: `rework monitor`"),
        error => error.into(),
    })
}
