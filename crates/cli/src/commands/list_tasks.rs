//! `rework list-tasks`: the last tasks, newest at the prompt.

use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use rework_core::{
    db::connect::Db,
    task::{
        self,
        list::{Extras, Filter, Listed},
        state::State,
    },
    values::quantity,
};

use crate::{
    context::Context,
    exit::Exit,
    options::Format,
    table::{Cell, Table},
    task_text::{style_of, traceback},
    time_text,
};

/// List the last tasks, newest at the prompt
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands for itself")]
pub struct Args {
    /// Only tasks of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only tasks in these states: `--state failed,lost`
    #[arg(long, value_delimiter = ',', value_parser = state_parser())]
    state: Vec<State>,
    /// Only tasks of this operation
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Only tasks scheduled in the last so long: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::milliseconds)]
    since: Option<i64>,
    /// With the tracebacks of those that failed
    #[arg(long, overrides_with = "no_tracebacks")]
    tracebacks: bool,
    #[arg(long, hide = true)]
    no_tracebacks: bool,
    /// With the number of log lines of each
    #[arg(long, overrides_with = "no_logcount")]
    logcount: bool,
    #[arg(long, hide = true)]
    no_logcount: bool,
    /// With the worker and the host of each
    #[arg(long)]
    worker: bool,
}

/// More than this are not counted.
const MOST_COUNTED: i64 = 10_000;

/// So many tasks are read at a time with all that they hold.
const WHOLE_TASKS: usize = 20;

/// Lists them.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let filter = Filter {
        domain: args.domain.clone(),
        states: args.state.clone(),
        operation: args.operation.clone(),
        since_ms: args.since,
    };
    let extras = Extras { errors: args.tracebacks, line_counts: args.logcount };
    let tasks = task::list::list(&db, &filter, extras, args.limit).await?;
    match context.format {
        Format::Table => print_table(context, &tasks, &args)?,
        _ if context.quiet => print_table(context, &tasks, &args)?,
        _ => print_whole(context, &db, &tasks).await?,
    }
    if let Some(first) = tasks.first()
        && tasks.len() as i64 == args.limit
    {
        let more = task::list::count_older(&db, &filter, first.id, MOST_COUNTED).await?;
        say_more(context, more);
    }
    Ok(Exit::Done.into())
}

fn state_parser() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str)).try_map(|word| word.parse::<State>())
}

fn say_more(context: &Context, more: i64) {
    match more {
        0 => {}
        MOST_COUNTED => context.note(format_args!("{more} older tasks or more: see `--limit`")),
        1 => context.note("1 older task: see `--limit`"),
        _ => context.note(format_args!("{more} older tasks: see `--limit`")),
    }
}

fn print_table(context: &Context, tasks: &[Listed], args: &Args) -> anyhow::Result<()> {
    if context.quiet {
        return tasks.iter().try_for_each(|task| context.print(task.id));
    }
    let mut table = Table::default();
    for task in tasks {
        table.row(cells(task, args.worker));
    }
    let lines = table.render(context.colour);
    for (line, task) in lines.split_inclusive('\n').zip(tasks) {
        let traceback = task.error.as_deref().and_then(traceback).unwrap_or_default();
        context.write(format!("{line}{traceback}").as_bytes())?;
    }
    Ok(())
}

/// One line: what it is, where it is, when it was, and how it ended if it ended badly.
fn cells(task: &Listed, worker: bool) -> Vec<Cell> {
    let lines = task.lines.map(|lines| format!("{lines} log lines")).unwrap_or_default();
    let held = match (worker, task.worker, &task.host) {
        (true, Some(worker), Some(host)) => format!("worker={worker}@{host}"),
        (true, None, Some(host)) => format!("host={host}"),
        _ => String::new(),
    };
    let dates = time_text::life(task.queued_at, task.started_at, task.finished_at);
    vec![
        Cell::number(task.id),
        task.operation.as_str().into(),
        Cell::styled(task.state.as_str(), style_of(task.state)),
        format!("domain={}", task.domain).into(),
        lines.into(),
        held.into(),
        dates.into(),
        why(task).into(),
    ]
}

fn why(task: &Listed) -> String {
    match (task.state, &task.reason, task.delayed_until) {
        (State::Done, ..) => String::new(),
        (State::Delayed, Some(reason), Some(until)) => {
            format!("not before {}, after {reason}", time_text::moment(until))
        }
        (State::Delayed, None, Some(until)) => format!("not before {}", time_text::moment(until)),
        (_, Some(reason), _) => reason.clone(),
        _ => String::new(),
    }
}

/// In JSON a task is always whole. Inputs may be large: only a few are held at a time.
async fn print_whole(context: &Context, db: &Db, tasks: &[Listed]) -> anyhow::Result<()> {
    let mut list = context.json_list()?;
    for some in tasks.chunks(WHOLE_TASKS) {
        let ids: Vec<i64> = some.iter().map(|task| task.id).collect();
        for task in task::show::show(db, &ids).await? {
            list.item(&task)?;
        }
    }
    list.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: State) -> Listed {
        Listed {
            id: 1,
            operation: "my_first_task".into(),
            domain: "default".into(),
            state,
            queued_at: "2026-11-22T02:10:08.717025Z".parse().unwrap(),
            delayed_until: None,
            started_at: None,
            finished_at: None,
            reason: None,
            worker: Some(3),
            host: Some("alpha".into()),
            error: None,
            lines: None,
        }
    }

    fn line(task: &Listed, worker: bool) -> String {
        let mut table = Table::default();
        table.row(cells(task, worker));
        table.render(false)
    }

    #[test]
    fn a_line_holds_the_facts_in_their_order() {
        let dates = time_text::life(task(State::Done).queued_at, None, None);
        assert_eq!(
            line(&task(State::Queued), false),
            format!("1 my_first_task queued domain=default {dates}\n")
        );
        let failed =
            Listed { reason: Some("exit code 3".into()), lines: Some(2), ..task(State::Failed) };
        assert_eq!(
            line(&failed, true),
            format!(
                "1 my_first_task failed domain=default 2 log lines worker=3@alpha {dates} exit code 3\n"
            )
        );
    }

    #[test]
    fn a_good_end_needs_no_reason() {
        let done = Listed { reason: Some("exit code 0".into()), ..task(State::Done) };
        assert!(line(&done, false).ends_with("]\n"));
    }
}
