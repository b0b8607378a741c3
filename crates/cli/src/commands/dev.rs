//! `rework dev`: parses the arguments. The implementation is in `dev/`.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    context::Context,
    dev::{self, DevOptions},
    exit::Exit,
};

/// Run everything for development until Ctrl-C: Postgres, schema, operations and a monitor
///
/// Uses the given database, or else a private Postgres whose data is kept. Registers files again when they change.
/// Other commands in this directory or below use the same database.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs, Python modules and manifests whose operations to register [default: a few examples]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The maximum number of workers per domain
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    maxworkers: Option<u32>,
}

/// Runs until Ctrl-C or SIGTERM.
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
