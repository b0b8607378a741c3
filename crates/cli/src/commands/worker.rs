//! `rework worker`: what a monitor starts. It learns everything, the database too, over its
//! standard input, which is the monitor's socket.

use std::process::ExitCode;

use rework_worker::WorkerError;

use crate::{context::Context, report::hinted};

/// Run tasks for a monitor, which starts this and speaks to it on standard input
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its domain: for whoever lists processes, since it is told all it needs over the socket
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
}

/// Works until the monitor or its own limits let it go.
pub async fn run(Args { domain: _ }: Args, _context: &Context) -> anyhow::Result<ExitCode> {
    rework_worker::run().await.map_err(|error| match error {
        WorkerError::NoMonitor => hinted(error.to_string(), "start one: `rework monitor`"),
        error => error.into(),
    })
}
