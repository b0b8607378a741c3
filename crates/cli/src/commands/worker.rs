//! `rework worker`: what a monitor starts. It learns everything, the database too, over its
//! standard input, which is the monitor's socket.

use std::process::ExitCode;

use crate::context::Context;

/// Run tasks for a monitor, which starts this and speaks to it on standard input
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its domain: for whoever lists processes, since it is told all it needs over the socket
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
}

/// Works until the monitor or its own limits let it go.
pub async fn run(Args { domain: _ }: Args, _context: &Context) -> anyhow::Result<ExitCode> {
    Ok(rework_worker::run().await?)
}
