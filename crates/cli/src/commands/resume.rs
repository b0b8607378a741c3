//! `rework resume`: ends a pause of `rework pause`.

use std::process::ExitCode;

use rework_core::pause::{
    manage,
    row::{Pause, Scope},
};

use super::pause::ScopeArgs;
use crate::{
    context::Context,
    exit::Exit,
    json_list::on_one_line,
    options::Format,
    pause_text::{command, explained, place, subject},
};

/// Resume what was paused with `rework pause`, with the same options
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Ends the pause, prints it, and notes the other pauses that concern the same tasks.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let scope = args.scope.scope();
    let known = manage::overlapping(&db, scope).await?;
    if manage::resume(&db, scope).await? {
        // Without a domain, the pause of the operation in any domain was ended.
        let ended = known.iter().find(|pause| {
            let found = pause.scope();
            let is_domain = scope.domain.is_none() && scope.operation.is_some();
            (found.operation, found.host) == (scope.operation, scope.host)
                && (is_domain || found.domain == scope.domain)
        });
        print(context, ended, scope)?;
    } else {
        context.note(format_args!("no such pause: {} {}", subject(scope), place(scope)));
        if context.format != Format::Table {
            context.print("null")?;
        }
    }
    for pause in manage::overlapping(&db, scope).await? {
        let resume = command("resume", pause.scope());
        context.note(format_args!("{}; `{resume}` ends that", explained(&pause)));
    }
    Ok(Exit::Done.into())
}

/// Prints the pause that has ended. `ended` is `None` if it began only a moment ago.
fn print(context: &Context, ended: Option<&Pause>, scope: Scope<'_>) -> anyhow::Result<()> {
    match (context.format, ended) {
        (Format::Json, _) => context.print(serde_json::to_string_pretty(&ended)?),
        (Format::Jsonl, _) => context.print(on_one_line(&ended)?),
        (Format::Table, Some(pause)) if context.quiet => context.print(pause.id),
        (Format::Table, None) if context.quiet => Ok(()),
        (Format::Table, _) => {
            let scope = ended.map_or(scope, Pause::scope);
            context.print(format_args!("{} is resumed {}", subject(scope), place(scope)))
        }
    }
}
