//! `rework list-scheduled`: what is prepared.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use rework_core::cron::{
    list::{Listed, list_scheduled},
    rule::{Missed, Overlap},
};

use crate::{
    context::Context,
    exit::Exit,
    table::{Cell, Table},
    time_text,
};

/// List schedules: what is prepared, and when it comes due next
///
/// The columns are: id, operation, domain, host, metadata, rule and zone, next time, and what is
/// special about it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only schedules of this domain
    #[arg(long)]
    domain: Option<String>,
}

/// Lists them.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let listed = list_scheduled(&db, args.domain.as_deref()).await?;
    context.print_list(&listed, |listed| listed.id.to_string(), table)?;
    Ok(Exit::Done.into())
}

fn table(listed: &[Listed]) -> Table {
    let mut table = Table::default();
    for listed in listed {
        table.row(cells(listed));
    }
    table
}

fn cells(listed: &Listed) -> Vec<Cell> {
    let schedule = &listed.schedule;
    let next = match listed.next_at {
        _ if listed.unregistered => Cell::styled("unregistered", AnsiColor::Yellow.on_default()),
        Some(next) => format!("next {}", time_text::second_in_zone(next)).into(),
        None => Cell::styled("paused", AnsiColor::Yellow.on_default()),
    };
    vec![
        Cell::number(listed.id),
        Cell::styled(schedule.operation.as_str(), Style::new().bold()),
        schedule.domain.as_str().into(),
        schedule.host.as_deref().unwrap_or("no host").into(),
        schedule.metadata.as_ref().map_or("no meta", |raw| raw.get()).into(),
        format!("\"{}\" {}", schedule.rule, schedule.zone).into(),
        next,
        Cell::styled(specials(listed), Style::new().dimmed()),
    ]
}

/// Whatever is not as it is left out, and why the last time brought no task.
fn specials(listed: &Listed) -> String {
    let schedule = &listed.schedule;
    let mut specials = Vec::new();
    if schedule.missed != Missed::default() {
        specials.push(format!("missed={}", schedule.missed));
    }
    if schedule.overlap != Overlap::default() {
        specials.push(format!("overlap={}", schedule.overlap));
    }
    if let Some(priority) = schedule.priority.filter(|priority| *priority != 0) {
        specials.push(format!("priority={priority}"));
    }
    specials.extend(schedule.capabilities.iter().map(|name| format!("capability={name}")));
    if let Some(reason) = listed.last.as_ref().and_then(|last| last.reason.as_ref()) {
        specials.push(format!("last time no task: {reason}"));
    }
    specials.join(" ")
}
