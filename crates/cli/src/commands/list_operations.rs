//! `rework list-operations`: lists the registered operations and the hosts that can run them.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use rework_core::operation::list::{ListedOperation, list_operations};

use crate::{
    context::Context,
    exit::Exit,
    pause_text,
    table::{Cell, Table},
};

/// List operations, with one line for each host that can run an operation
///
/// The columns are: id, name, domain, host, kind, revision, path, pause. JSON also has the schemas and limits.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only operations of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Also list operations that are not registered any more
    #[arg(long)]
    all: bool,
}

/// Prints the operations.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut listed = list_operations(&db, args.domain.as_deref(), args.all).await?;
    if context.quiet {
        listed.dedup_by_key(|operation| operation.id);
    }
    context.print_list(&listed, |operation| operation.id.to_string(), table)?;
    Ok(Exit::Done.into())
}

fn table(listed: &[ListedOperation]) -> Table {
    let mut table = Table::default();
    for operation in listed {
        table.row(cells(operation));
    }
    table
}

fn cells(operation: &ListedOperation) -> Vec<Cell> {
    let placement = operation.placement.as_ref();
    let unregistered = operation.unregistered_at.map(|_| "unregistered").unwrap_or_default();
    let paused = operation.pause.as_ref().map(pause_text::explained).unwrap_or_default();
    vec![
        Cell::number(operation.id),
        Cell::styled(operation.definition.name.as_str(), Style::new().bold()),
        operation.definition.domain.as_str().into(),
        placement.map_or("-", |placement| &placement.host).into(),
        placement.map_or("-", |placement| &placement.kind).into(),
        Cell::number(placement.map_or("-".to_owned(), |placement| placement.revision.to_string())),
        placement.map_or("-", |placement| &placement.path).into(),
        Cell::styled(unregistered, Style::new().dimmed()),
        Cell::styled(paused, AnsiColor::Yellow.on_default()),
    ]
}

#[cfg(test)]
mod tests {
    use rework_core::{operation::list::Placement, pause::row::Scope};
    use rework_wire::operation::{Definition, Form, Limits};

    use super::*;
    use crate::pause_text::tests::pause;

    #[test]
    fn an_operation_has_a_line_per_host_and_dashes_without_a_host() {
        let thumbnail = ListedOperation {
            id: 8,
            definition: Definition {
                domain: "images".into(),
                name: "thumbnail".into(),
                input: None,
                output: None,
                output_form: Form::Json,
                limits: Limits::default(),
                ..Definition::default()
            },
            version: 1,
            registered_at: "2026-11-22T02:10:08Z".parse().unwrap(),
            unregistered_at: None,
            placement: Some(Placement {
                host: "alpha".into(),
                kind: "command".into(),
                path: "/srv/ops.toml".into(),
                revision: 12,
            }),
            pause: None,
        };
        let paused = ListedOperation {
            pause: Some(pause(Scope { domain: Some("images"), ..Scope::default() })),
            ..thumbnail.clone()
        };
        let since = pause_text::since(paused.pause.as_ref().unwrap());
        let unregistered = ListedOperation {
            id: 10,
            unregistered_at: Some(thumbnail.registered_at),
            placement: None,
            ..thumbnail.clone()
        };
        assert_eq!(
            table(&[thumbnail, unregistered]).render(false),
            " 8 thumbnail images alpha command 12 /srv/ops.toml\n\
             10 thumbnail images -     -        - -             unregistered\n"
        );
        assert_eq!(
            table(&[paused]).render(false),
            format!(
                "8 thumbnail images alpha command 12 /srv/ops.toml domain `images` is paused on every host {since}\n"
            )
        );
    }
}
