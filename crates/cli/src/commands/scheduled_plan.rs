//! `rework scheduled-plan`: lists when schedules will fire in the next hours.

use std::{cmp::Reverse, collections::BinaryHeap, process::ExitCode};

use chrono::{DateTime, TimeDelta, Utc};
use rework_core::cron::{
    list::{ListedSchedule, list_scheduled},
    rule::Rule,
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::Exit,
    table::{Cell, Table},
    time_text,
};

/// Show when schedules will fire in the next hours
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only schedules of this domain
    domain: Option<String>,
    /// The number of hours from now
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(i64).range(1..=100_000))]
    hours: i64,
    /// The maximum number of lines
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

/// One future firing of a schedule: an instant at which it will be due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Due {
    at: DateTime<Utc>,
    operation: String,
    domain: String,
    schedule: i64,
}

/// Prints the plan.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let listed = list_scheduled(&db, args.domain.as_deref()).await?;
    let now = Utc::now();
    let mut plan = Plan::new(&listed, now, now + TimeDelta::hours(args.hours));
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let due: Vec<Due> = plan.by_ref().take(limit).collect();
    context.print_list(&due, |due| due.schedule.to_string(), table)?;
    if plan.next().is_some() {
        let higher_limit = args.limit.saturating_mul(10);
        context
            .note(format_args!("the list is not complete; to see more: `--limit {higher_limit}`"));
    }
    Ok(Exit::Done.into())
}

fn table(plan: &[Due]) -> Table {
    let mut table = Table::default();
    for due in plan {
        let at: Cell = time_text::seconds_with_zone(due.at).into();
        table.row([at, due.operation.as_str().into()]);
    }
    table
}

/// An iterator over the future firings of several schedules, in the order of time.
struct Plan<'a> {
    rules: Vec<(&'a ListedSchedule, Rule)>,
    /// The next firing of each rule, with the index of the rule. The earliest is at the top of the
    /// heap. A rule whose next firing is after `end` has no entry.
    next: BinaryHeap<Reverse<(DateTime<Utc>, usize)>>,
    end: DateTime<Utc>,
}

impl<'a> Plan<'a> {
    /// Returns the plan after `now` until `end`. Schedules that are paused, or whose operation is not registered, do
    /// not fire.
    fn new(listed: &'a [ListedSchedule], now: DateTime<Utc>, end: DateTime<Utc>) -> Plan<'a> {
        let active = listed.iter().filter(|one| !one.unregistered && !one.schedule.paused);
        let rules = active.filter_map(|one| Some((one, one.schedule.rule(true).ok()?))).collect();
        let mut plan = Plan { rules, next: BinaryHeap::new(), end };
        for index in 0..plan.rules.len() {
            plan.push(index, now);
        }
        plan
    }

    /// Adds the first firing of a rule after a time.
    fn push(&mut self, index: usize, after: DateTime<Utc>) {
        let next = self.rules[index].1.after(after).filter(|at| *at <= self.end);
        self.next.extend(next.map(|at| Reverse((at, index))));
    }
}

impl Iterator for Plan<'_> {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let Reverse((at, index)) = self.next.pop()?;
        self.push(index, at);
        let (listed, _) = self.rules[index];
        Some(Due {
            at,
            operation: listed.schedule.operation.clone(),
            domain: listed.schedule.domain.clone(),
            schedule: listed.id,
        })
    }
}
