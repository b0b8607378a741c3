//! `rework dev`: one command that brings up everything, and takes it down again.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    context::Context,
    dev::{self, DevOptions},
    exit::Exit,
};

/// Bring up everything: a Postgres, the schema, operations, a monitor, until Ctrl-C
///
/// It uses the database that it is given, else a Postgres of its own whose data persists. Files
/// that change are registered again. Other commands, typed in this directory or below it, find it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Register the operations of these programs and manifests; left out: a few examples
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Most workers of each domain
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    maxworkers: Option<u32>,
}

/// Keeps it up until Ctrl-C or SIGTERM.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let options = DevOptions {
        dsn: context.named_dsn()?,
        paths: args.paths,
        project: PathBuf::from("."),
        maxworkers: args.maxworkers,
    };
    dev::run(options, context).await?;
    Ok(Exit::Done.into())
}
