//! `rework register-operations`: what files define becomes operations of this host.

use std::{path::PathBuf, process::ExitCode};

use rework_core::{
    db::connect::Db,
    operation::register::{self, Module, Registered},
};
use serde::Serialize;

use crate::{context::Context, exit::Exit, host, modules, options::Format, table::Table};

/// Register the operations of manifests, Python modules and programs on this host
///
/// A manifest is a TOML file of commands; a module uses `rework.api`; a program is made with the SDK. Registering again
/// updates, makes a new revision and loses no history. It is done for all files or for none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Manifests (`.toml`), Python modules (`.py`) and programs
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only the operations of this domain
    #[arg(long)]
    domain: Option<String>,
    /// The host that runs them: this one, if left out
    #[arg(long)]
    host: Option<String>,
    /// The interpreter that runs Python modules: that of the environment of this program, if left out
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Only say what would be registered; this needs no database
    #[arg(long)]
    check: bool,
    // Typed by users of the first `rework`, where it chose whether history is lost. It never is.
    #[arg(long, hide = true, overrides_with = "no_reset")]
    reset: bool,
    #[arg(long, hide = true)]
    no_reset: bool,
}

/// Reads the files, and registers what they define.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let modules =
        modules::read(&args.paths, args.domain.as_deref(), args.python.as_deref()).await?;
    if let Some(domain) = &args.domain
        && modules.iter().all(|module| module.operations.is_empty())
    {
        context.warn(format_args!("nothing here is of domain `{domain}`"));
    }
    if args.check {
        print_check(context, &modules)?;
        return Ok(Exit::Done.into());
    }
    let mut db = context.open().await?;
    print_registered(context, &registered(&mut db, args.host, &modules).await?)?;
    Ok(Exit::Done.into())
}

/// Registers on this host, or on the one that is given.
pub(crate) async fn registered(
    db: &mut Db,
    host: Option<String>,
    modules: &[Module],
) -> anyhow::Result<Vec<Registered>> {
    Ok(register::register(db, &host::name(host), modules).await?)
}

/// `registered 1 new operation (0 already known)`.
pub(crate) fn summary(registered: &[Registered]) -> String {
    let new = registered.iter().filter(|operation| operation.new).count();
    format!("registered {new} new operation ({} already known)", registered.len() - new)
}

fn print_registered(context: &Context, registered: &[Registered]) -> anyhow::Result<()> {
    match context.format {
        _ if context.quiet => Ok(()),
        Format::Table => context.print(summary(registered)),
        _ => {
            let mut list = context.json_list()?;
            registered.iter().try_for_each(|operation| list.item(operation))?;
            list.end()
        }
    }
}

/// What would be registered: the same facts as in `list-operations`.
fn print_check(context: &Context, modules: &[Module]) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Checked<'a> {
        #[serde(flatten)]
        definition: &'a rework_wire::operation::Definition,
        kind: &'a str,
        path: &'a str,
    }
    let checked: Vec<Checked<'_>> = modules
        .iter()
        .flat_map(|module| {
            module.operations.iter().map(|definition| Checked {
                definition,
                kind: module.kind.as_str(),
                path: &module.path,
            })
        })
        .collect();
    let table = |checked: &[Checked<'_>]| {
        let mut table = Table::default();
        for one in checked {
            let texts = [&one.definition.name, &one.definition.domain, one.kind, one.path];
            table.row(texts.map(Into::into));
        }
        table
    };
    context.print_list(&checked, |one| one.definition.name.clone(), table)?;
    context.note(format_args!("{} would be registered: nothing was", checked.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_the_one_that_people_know() {
        let operation = |new| Registered {
            domain: "default".into(),
            name: "hello".into(),
            new,
            revision: 1,
            version: 1,
        };
        assert_eq!(summary(&[operation(true)]), "registered 1 new operation (0 already known)");
        assert_eq!(
            summary(&[operation(true), operation(false), operation(true)]),
            "registered 2 new operation (1 already known)"
        );
    }
}
