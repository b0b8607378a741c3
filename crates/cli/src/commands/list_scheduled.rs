//! `rework list-scheduled`: lists the schedules with the time at which each fires next.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use rework_core::cron::{
    list::{ListedSchedule, list_scheduled},
    rule::{Missed, Overlap},
};

use crate::{
    context::Context,
    exit::Exit,
    table::{Cell, Table},
    time_text,
};

/// List schedules and when they fire next
///
/// The columns are: id, operation, domain, host, metadata, rule and zone, next time, and settings that differ from the
/// default.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only schedules of this domain
    #[arg(long)]
    domain: Option<String>,
}

/// Prints the schedules.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let listed = list_scheduled(&db, args.domain.as_deref()).await?;
    context.print_list(&listed, |listed| listed.id.to_string(), table)?;
    Ok(Exit::Done.into())
}

fn table(listed: &[ListedSchedule]) -> Table {
    let mut table = Table::default();
    for listed in listed {
        table.row(cells(listed));
    }
    table
}

fn cells(listed: &ListedSchedule) -> Vec<Cell> {
    let schedule = &listed.schedule;
    let next = match listed.next_at {
        _ if listed.unregistered => Cell::styled("unregistered", AnsiColor::Yellow.on_default()),
        Some(next) => format!("next {}", time_text::seconds_with_zone(next)).into(),
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
        Cell::styled(non_defaults(listed), Style::new().dimmed()),
    ]
}

/// Returns the settings that differ from their defaults, and why the last firing scheduled no task.
fn non_defaults(listed: &ListedSchedule) -> String {
    let schedule = &listed.schedule;
    let mut texts = Vec::new();
    if schedule.missed != Missed::default() {
        texts.push(format!("missed={}", schedule.missed));
    }
    if schedule.overlap != Overlap::default() {
        texts.push(format!("overlap={}", schedule.overlap));
    }
    if let Some(priority) = schedule.priority.filter(|priority| *priority != 0) {
        texts.push(format!("priority={priority}"));
    }
    texts.extend(schedule.capabilities.iter().map(|name| format!("capability={name}")));
    if let Some(reason) = listed.last.as_ref().and_then(|last| last.reason.as_ref()) {
        texts.push(format!("last time no task: {reason}"));
    }
    texts.join(" ")
}
