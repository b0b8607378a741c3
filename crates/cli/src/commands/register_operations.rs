//! `rework register-operations`: registers the operations that files define, so that this host runs them. `modules.rs`
//! reads the files.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use rework_core::{
    db::connect::Db,
    operation::register::{self as core_register, Module, RegisteredOperation},
};
use serde::Serialize;

use crate::{context::Context, exit::Exit, host, modules, options::Format, table::Table};

/// Register the operations of manifests, Python modules and programs on this host
///
/// A manifest is a TOML file of commands, a module uses `rework.api`, and a program uses the Rust SDK. Registering a
/// file again updates its operations and creates a new revision; their history stays. Either all files are registered
/// or none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The paths of manifests (`.toml`), Python modules (`.py`) and programs
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only the operations of this domain
    #[arg(long)]
    domain: Option<String>,
    /// The host that will run the operations [default: this host]
    #[arg(long)]
    host: Option<String>,
    /// The interpreter for Python modules [default: that of the environment of this program]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Only show what would be registered; this needs no database
    #[arg(long)]
    check: bool,
    // The Python rework has these options, which choose whether the history is deleted. Here the history always stays.
    #[arg(long, hide = true, overrides_with = "no_reset")]
    reset: bool,
    #[arg(long, hide = true)]
    no_reset: bool,
}

/// Reads the files and registers their operations.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let modules =
        modules::read(&args.paths, args.domain.as_deref(), args.python.as_deref()).await?;
    if let Some(domain) = &args.domain
        && modules.iter().all(|module| module.operations.is_empty())
    {
        context.warn(format_args!("these files define no operation in domain `{domain}`"));
    }
    if args.check {
        print_check(context, &modules)?;
        return Ok(Exit::Done.into());
    }
    let mut db = context.open().await?;
    print_registered(context, &register(&mut db, args.host, &modules).await?)?;
    Ok(Exit::Done.into())
}

/// Registers modules on the given host, or on this one.
pub(crate) async fn register(
    db: &mut Db,
    host: Option<String>,
    modules: &[Module],
) -> anyhow::Result<Vec<RegisteredOperation>> {
    Ok(core_register::register(db, &host::name(host)?, modules).await?)
}

/// Returns the summary: `registered 2 new operations (0 already known)`.
pub(crate) fn summary(registered: &[RegisteredOperation]) -> String {
    let new = registered.iter().filter(|operation| operation.new).count();
    let operations = if new == 1 { "operation" } else { "operations" };
    format!("registered {new} new {operations} ({} already known)", registered.len() - new)
}

/// Returns a line for each pair of files of which the first takes operations over from the second.
pub(crate) fn moves(registered: &[RegisteredOperation]) -> Vec<String> {
    let mut moved: BTreeMap<(&str, &str), Vec<&RegisteredOperation>> = BTreeMap::new();
    for operation in registered {
        if let Some(former) = &operation.former_path {
            moved.entry((&operation.path, former)).or_default().push(operation);
        }
    }
    let line = |((path, former), operations): ((&str, &str), Vec<&RegisteredOperation>)| {
        let (RegisteredOperation { domain, name, .. }, others) = operations.split_first()?;
        let (others, is) = match others.len() {
            0 => (String::new(), "is"),
            1 => (" and 1 more".to_owned(), "are"),
            others => (format!(" and {others} more"), "are"),
        };
        Some(format!(
            "operation {name} of domain {domain}{others} {is} now run from {path}, before from {former}"
        ))
    };
    moved.into_iter().filter_map(line).collect()
}

fn print_registered(context: &Context, registered: &[RegisteredOperation]) -> anyhow::Result<()> {
    for line in moves(registered) {
        context.note(line);
    }
    match context.format {
        _ if context.quiet => Ok(()),
        Format::Table => context.print(summary(registered)),
        _ => {
            let mut list = context.json_list()?;
            registered.iter().try_for_each(|operation| list.item(operation))?;
            list.finish()
        }
    }
}

/// Prints what would be registered, with the same fields as `list-operations`.
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
        for operation in checked {
            let definition = operation.definition;
            let texts = [&definition.name, &definition.domain, operation.kind, operation.path];
            table.row(texts.map(Into::into));
        }
        table
    };
    context.print_list(&checked, |operation| operation.definition.name.clone(), table)?;
    context.note(format_args!("{} would be registered; nothing was changed", checked.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(new: bool) -> RegisteredOperation {
        RegisteredOperation {
            domain: "default".into(),
            name: "hello".into(),
            new,
            path: "/srv/new.toml".into(),
            former_path: None,
            revision: 1,
            version: 1,
        }
    }

    #[test]
    fn a_file_that_takes_operations_over_is_named() {
        let moved =
            RegisteredOperation { former_path: Some("/srv/old.toml".into()), ..operation(false) };
        assert!(moves(&[operation(true), operation(false)]).is_empty());
        assert_eq!(
            moves(&[operation(true), moved.clone()]),
            [
                "operation hello of domain default is now run from /srv/new.toml, before from /srv/old.toml"
            ]
        );
        let line = moves(&[moved.clone(), moved.clone(), moved]).remove(0);
        assert!(line.starts_with("operation hello of domain default and 2 more are now"), "{line}");
    }

    #[test]
    fn the_summary_has_the_wording_of_the_python_rework() {
        assert_eq!(summary(&[operation(true)]), "registered 1 new operation (0 already known)");
        assert_eq!(
            summary(&[operation(true), operation(false), operation(true)]),
            "registered 2 new operations (1 already known)"
        );
    }
}
