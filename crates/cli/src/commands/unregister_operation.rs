//! `rework unregister-operation`: removes the registration of an operation on its hosts, after a confirmation.

use std::{io, process::ExitCode};

use rework_core::operation::unregister::{
    PlacementFilter, UnregisterCandidate, Unregistered, candidates, unregister,
};

use crate::{context::Context, escape, exit::Exit};

/// Unregister an operation from its hosts; its tasks and their history stay
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of the operation
    #[arg(value_name = "OPERATION")]
    name: String,
    /// Only in this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only modules whose path contains this text; a text with `%` is a pattern for `like`
    #[arg(long, value_name = "TEXT")]
    module: Option<String>,
    /// Only on this host
    #[arg(long)]
    host: Option<String>,
    /// Do not ask for confirmation
    #[arg(short, long, visible_alias = "no-confirm")]
    yes: bool,
    // The Python rework has this option. It is the default.
    #[arg(long, hide = true, conflicts_with = "yes")]
    confirm: bool,
}

/// Prints the registrations that match, asks for confirmation, and removes them. The wording is that of the Python
/// rework.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let filter = PlacementFilter {
        name: &args.name,
        domain: args.domain.as_deref(),
        host: args.host.as_deref(),
        module: args.module.as_deref(),
    };
    let placed = candidates(&db, &filter).await?;
    if placed.is_empty() {
        context.print("Nothing to unregister")?;
        context.note("hint: see `rework list-operations`");
        return Ok(Exit::Error.into());
    }
    if !args.yes {
        context.print("preparing de-registration of:")?;
        print_all(context, &placed)?;
        if !confirmed(context)? {
            context.print("Ok, nothing has been done.")?;
            return Ok(Exit::Done.into());
        }
    }
    let removed = unregister(&db, &placed).await?;
    print_all(context, &placed)?;
    note_waiting(context, &args.name, removed);
    Ok(Exit::Done.into())
}

fn print_all(context: &Context, placed: &[UnregisterCandidate]) -> anyhow::Result<()> {
    placed.iter().try_for_each(|one| {
        let line = format!("delete {} {} {} {}", one.name, one.domain, one.path, one.host);
        context.print(escape::line(&line))
    })
}

/// Asks on standard output and reads the answer from standard input, also if they are not a terminal.
fn confirmed(context: &Context) -> anyhow::Result<bool> {
    context.write(b"really remove those [y/n]? [y/N]: ")?;
    let mut answer = String::new();
    let bytes_read = io::stdin().read_line(&mut answer)?;
    if bytes_read == 0 {
        // Standard input was closed, so no newline followed the question. The next output must start on a new line.
        context.print("")?;
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Notes how many queued tasks of the operation wait until it is registered again.
fn note_waiting(context: &Context, name: &str, removed: Unregistered) {
    let (tasks, stay, run) = match removed.waiting {
        0 => return,
        1 => ("task", "stays", "it runs"),
        _ => ("tasks", "stay", "they run"),
    };
    context.note(format_args!(
        "{} queued {tasks} of `{name}` {stay} queued: {run} when the operation is registered again",
        removed.waiting
    ));
}
