//! `rework completions`: what a shell needs to complete our commands and options.

use std::process::ExitCode;

use crate::{context::Context, exit::Exit};

/// Print what a shell needs to complete commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "For bash: `source <(rework completions bash)`, in ~/.bashrc for good.")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints its script.
#[expect(clippy::unused_async, reason = "every command is asynchronous")]
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut (context.parser)(), "rework", &mut script);
    context.write(&script)?;
    Ok(Exit::Done.into())
}
