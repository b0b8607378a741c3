//! `rework scheduled-plan`: when schedules come due in the next hours.

use std::{cmp::Reverse, collections::BinaryHeap, process::ExitCode};

use chrono::{DateTime, TimeDelta, Utc};
use rework_core::cron::{
    list::{Listed, list_scheduled},
    rule::Rule,
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::Exit,
    table::{Cell, Table},
    time_text,
};

/// Show when schedules come due in the next hours
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only schedules of this domain
    domain: Option<String>,
    /// As far ahead
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(i64).range(1..=100_000))]
    hours: i64,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

/// An instant to come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Due {
    at: DateTime<Utc>,
    operation: String,
    domain: String,
    schedule: i64,
}

/// Shows them.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let listed = list_scheduled(&db, args.domain.as_deref()).await?;
    let now = Utc::now();
    let mut plan = Plan::new(&listed, now, now + TimeDelta::hours(args.hours));
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let due: Vec<Due> = plan.by_ref().take(limit).collect();
    context.print_list(&due, |due| due.schedule.to_string(), table)?;
    if plan.next().is_some() {
        context.note(format_args!("there are more: `--limit {}`", args.limit.saturating_mul(10)));
    }
    Ok(Exit::Done.into())
}

fn table(plan: &[Due]) -> Table {
    let mut table = Table::default();
    for due in plan {
        let at: Cell = time_text::second_in_zone(due.at).into();
        table.row([at, due.operation.as_str().into()]);
    }
    table
}

/// The instants of several rules, in order.
struct Plan<'a> {
    rules: Vec<(&'a Listed, Rule)>,
    next: BinaryHeap<Reverse<(DateTime<Utc>, usize)>>,
    end: DateTime<Utc>,
}

impl<'a> Plan<'a> {
    /// After `now`, until `end`. What is paused or not registered has no instants.
    fn new(listed: &'a [Listed], now: DateTime<Utc>, end: DateTime<Utc>) -> Plan<'a> {
        let active = listed.iter().filter(|one| !one.unregistered && !one.schedule.paused);
        let rules = active.filter_map(|one| Some((one, one.schedule.rule(true).ok()?))).collect();
        let mut plan = Plan { rules, next: BinaryHeap::new(), end };
        for index in 0..plan.rules.len() {
            plan.push(index, now);
        }
        plan
    }

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
