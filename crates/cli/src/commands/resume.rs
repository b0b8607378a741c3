//! `rework resume`: ends a pause of `rework pause`.

use std::process::ExitCode;

use rework_core::pause::manage;

use super::pause::ScopeArgs;
use crate::{
    context::Context,
    exit::Exit,
    pause_text::{command, explained, place, subject},
};

/// Resume what was paused with `rework pause`, with the same options
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Ends the pause, and notes the other pauses that concern the same tasks.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let scope = args.scope.scope();
    let (subject, place) = (subject(scope), place(scope));
    if manage::resume(&db, scope).await? {
        context.print(format_args!("{subject} is resumed {place}"))?;
    } else {
        context.note(format_args!("{subject} was not paused {place}"));
    }
    for pause in manage::overlapping(&db, scope).await? {
        let resume = command("resume", pause.scope());
        context.note(format_args!("{}; `{resume}` ends that", explained(&pause)));
    }
    Ok(Exit::Done.into())
}
