//! `rework list-flows`: lists flows with what runs of them now.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use rework_core::flow::{
    list::{ListedFlow, list},
    state::Phase,
};

use crate::{
    context::Context,
    exit::Exit,
    options::Format,
    table::{Cell, Table},
};

/// List the flows that have not ended: what they do, how many steps are over, what runs now and where
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also list flows that have ended
    #[arg(long)]
    all: bool,
    /// The maximum number of flows
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
}

/// The largest number of running steps of a flow that are named.
const SHOWN_STEPS: usize = 3;

const HEADING: Style = Style::new().dimmed();

/// Prints the flows, the newest first.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let flows = list(&db, args.all, args.limit).await?;
    if flows.is_empty() && context.format == Format::Table {
        let hint = if args.all { "" } else { "; `--all` also lists flows that have ended" };
        context.note(format_args!("there are no flows{hint}"));
        return Ok(Exit::Done.into());
    }
    context.print_list(&flows, |flow| flow.id.to_string(), table)?;
    if flows.len() as i64 == args.limit {
        context.note("there may be more: see `--limit`");
    }
    Ok(Exit::Done.into())
}

fn table(flows: &[ListedFlow]) -> Table {
    let mut table = Table::wide();
    let heading = |text| Cell::styled(text, HEADING);
    table.row(["NAME", "ID", "STATE", "STEPS", "RUNNING", "HOSTS"].map(heading));
    for flow in flows {
        table.row(cells(flow));
    }
    table
}

/// Returns one line: name of the operation, id, state, steps that are over, steps that run, and their hosts.
fn cells(flow: &ListedFlow) -> [Cell; 6] {
    let style = match flow.phase {
        None | Some(Phase::Executing) => AnsiColor::Cyan.on_default(),
        Some(Phase::Done) => AnsiColor::Green.on_default(),
        Some(Phase::RevertFailed) => AnsiColor::Red.on_default().bold(),
        Some(_) => AnsiColor::Magenta.on_default(),
    };
    let steps = flow.phase.map(|_| format!("{}/{}", flow.done, flow.steps)).unwrap_or_default();
    [
        flow.operation.as_str().into(),
        flow.id.to_string().into(),
        Cell::styled(flow.state(), style),
        steps.into(),
        shortened(&flow.running).into(),
        flow.hosts.join(", ").into(),
    ]
}

/// Returns the first names of a list, for example `vm, volume, disk and 2 more`.
fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN_STEPS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN_STEPS) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(id: i64, phase: Option<Phase>, running: &[&str]) -> ListedFlow {
        let queued_at = "2026-11-22T02:10:08Z".parse().unwrap();
        ListedFlow {
            id,
            operation: "make_server".into(),
            domain: "cloud".into(),
            phase,
            done: 2,
            steps: 9,
            running: running.iter().map(|&name| name.into()).collect(),
            hosts: vec!["alpha".into()],
            queued_at,
            ended_at: None,
        }
    }

    #[test]
    fn a_flow_is_listed_with_what_runs_now() {
        let flows = [flow(12, Some(Phase::Executing), &["a", "b", "c", "d"]), flow(7, None, &[])];
        assert_eq!(
            table(&flows).render(false),
            "NAME         ID  STATE      STEPS  RUNNING             HOSTS\n\
             make_server  12  executing  2/9    a, b, c and 1 more  alpha\n\
             make_server  7   planning                              alpha\n"
        );
    }

    #[test]
    fn json_has_the_state_as_a_word() {
        let json = serde_json::to_value(flow(7, None, &[])).unwrap();
        assert_eq!(json["state"], "planning");
        let json = serde_json::to_value(flow(7, Some(Phase::RevertFailed), &[])).unwrap();
        assert_eq!(json["state"], "revert_failed");
    }
}
