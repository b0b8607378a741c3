//! `rework completions`: prints the script with which a shell completes the commands and options of `rework`.

use std::process::ExitCode;

use crate::{context::Context, exit::Exit};

/// Print a script with which a shell completes commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "For bash, add this line to ~/.bashrc: source <(rework completions bash)")]
pub struct Args {
    /// The shell that will run the script
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints the script.
#[expect(clippy::unused_async, reason = "every command is asynchronous")]
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut (context.parser)(), "rework", &mut script);
    context.write(&script)?;
    Ok(Exit::Done.into())
}
