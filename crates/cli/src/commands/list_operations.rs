//! `rework list-operations`: what can be scheduled, and where it runs.

use std::process::ExitCode;

use anstyle::Style;
use rework_core::operation::list::{Listed, list_operations};

use crate::{
    context::Context,
    exit::Exit,
    table::{Cell, Table},
};

/// List operations, a line for each host that can run one
///
/// The columns are: id, name, domain, host, kind, revision, path. In JSON, its schemas and limits too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only operations of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Those too that are not registered any more
    #[arg(long)]
    all: bool,
}

/// Lists them.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut listed = list_operations(&db, args.domain.as_deref(), args.all).await?;
    if context.quiet {
        listed.dedup_by_key(|operation| operation.id);
    }
    context.print_list(&listed, |operation| operation.id.to_string(), table)?;
    Ok(Exit::Done.into())
}

fn table(listed: &[Listed]) -> Table {
    let mut table = Table::default();
    for operation in listed {
        table.row(cells(operation));
    }
    table
}

fn cells(operation: &Listed) -> Vec<Cell> {
    let place = operation.placement.as_ref();
    let gone = operation.unregistered_at.map(|_| "unregistered").unwrap_or_default();
    vec![
        Cell::number(operation.id),
        Cell::styled(operation.definition.name.as_str(), Style::new().bold()),
        operation.definition.domain.as_str().into(),
        place.map_or("-", |place| &place.host).into(),
        place.map_or("-", |place| &place.kind).into(),
        Cell::number(place.map_or("-".to_owned(), |place| place.revision.to_string())),
        place.map_or("-", |place| &place.path).into(),
        Cell::styled(gone, Style::new().dimmed()),
    ]
}

#[cfg(test)]
mod tests {
    use rework_core::operation::list::Placement;
    use rework_wire::operation::{Definition, Form, Limits};

    use super::*;

    #[test]
    fn every_host_has_its_line_and_what_has_none_a_dash() {
        let thumbnail = Listed {
            id: 8,
            definition: Definition {
                domain: "images".into(),
                name: "thumbnail".into(),
                input: None,
                output: None,
                output_form: Form::Json,
                limits: Limits::default(),
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
        };
        let gone = Listed {
            id: 10,
            unregistered_at: Some(thumbnail.registered_at),
            placement: None,
            ..thumbnail.clone()
        };
        assert_eq!(
            table(&[thumbnail, gone]).render(false),
            " 8 thumbnail images alpha command 12 /srv/ops.toml\n\
             10 thumbnail images -     -        - -             unregistered\n"
        );
    }
}
