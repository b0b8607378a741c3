//! `rework unregister-operation`: take an operation off its hosts, after asking.

use std::{io, process::ExitCode};

use rework_core::operation::unregister::{Placed, Selection, Unregistered, candidates, unregister};

use crate::{context::Context, escape, exit::Exit};

/// Take an operation off its hosts; its tasks and their history stay
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The operation
    #[arg(value_name = "OPERATION")]
    name: String,
    /// Only in this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only where the module's path contains this; with a `%`, where it is like this
    #[arg(long, value_name = "TEXT")]
    module: Option<String>,
    /// Only on this host
    #[arg(long)]
    host: Option<String>,
    /// Do not ask
    #[arg(short, long, visible_alias = "no-confirm")]
    yes: bool,
    #[arg(long, hide = true, conflicts_with = "yes")]
    confirm: bool,
}

/// Shows what would go, asks, and takes it away.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let selection = Selection {
        name: &args.name,
        domain: args.domain.as_deref(),
        host: args.host.as_deref(),
        module: args.module.as_deref(),
    };
    let placed = candidates(&db, &selection).await?;
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
    let gone = unregister(&db, &placed).await?;
    print_all(context, &placed)?;
    note_waiting(context, &args.name, gone);
    Ok(Exit::Done.into())
}

fn print_all(context: &Context, placed: &[Placed]) -> anyhow::Result<()> {
    placed.iter().try_for_each(|one| {
        let line = format!("delete {} {} {} {}", one.name, one.domain, one.path, one.host);
        context.print(escape::line(&line))
    })
}

/// Asks on the standard output, and reads the answer from the standard input, whatever they are.
fn confirmed(context: &Context) -> anyhow::Result<bool> {
    context.write(b"really remove those [y/n]? [y/N]: ")?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer)?;
    if read == 0 {
        // Nobody pressed return: what is said next begins a line of its own.
        context.print("")?;
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn note_waiting(context: &Context, name: &str, gone: Unregistered) {
    let (tasks, stay, run) = match gone.waiting {
        0 => return,
        1 => ("task", "stays", "it runs"),
        _ => ("tasks", "stay", "they run"),
    };
    context.note(format_args!(
        "{} queued {tasks} of `{name}` {stay} queued: {run} when it is registered again",
        gone.waiting
    ));
}
