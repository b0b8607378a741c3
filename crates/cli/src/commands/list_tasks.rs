//! `rework list-tasks`: lists the latest tasks. The newest one is at the bottom, next to the shell prompt.

use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use rework_core::{
    db::connect::Db,
    task::{
        self,
        list::{Extras, ListedTask, TaskFilter},
        state::State,
    },
    values::quantity,
};

use crate::{
    context::Context,
    exit::Exit,
    options::Format,
    pause_text,
    table::{Cell, Table},
    task_text::style_of,
    time_text,
    value_text::traceback,
};

/// List the latest tasks, the newest at the bottom
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands for itself")]
pub struct Args {
    /// Only tasks of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only tasks in these states, for example `failed,lost`
    #[arg(long, value_delimiter = ',', value_parser = state_parser())]
    state: Vec<State>,
    /// Only tasks of this operation
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// The maximum number of tasks
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Only tasks scheduled within this time: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::milliseconds)]
    since: Option<i64>,
    /// Show the tracebacks of failed tasks
    #[arg(long, overrides_with = "no_tracebacks")]
    tracebacks: bool,
    // The Python rework has this option.
    #[arg(long, hide = true)]
    no_tracebacks: bool,
    /// Show the number of log lines of each task
    #[arg(long, overrides_with = "no_logcount")]
    logcount: bool,
    #[arg(long, hide = true)]
    no_logcount: bool,
    /// Show the worker and the host of each task
    #[arg(long)]
    worker: bool,
    /// Also list the tasks of the steps of flows
    #[arg(long)]
    steps: bool,
}

/// The maximum number of older tasks that are counted, so that counting takes a short time.
const MAX_COUNTED: i64 = 10_000;

/// The number of complete tasks that are read at a time for JSON. Their inputs and outputs may be large.
const JSON_CHUNK: usize = 20;

/// Prints the tasks, and a note with the number of older ones.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let filter = TaskFilter {
        domain: args.domain.clone(),
        states: args.state.clone(),
        operation: args.operation.clone(),
        since_ms: args.since,
        steps: args.steps,
    };
    let extras = Extras { errors: args.tracebacks, line_counts: args.logcount };
    let tasks = task::list::list(&db, &filter, extras, args.limit).await?;
    match context.format {
        Format::Table => print_table(context, &tasks, &args)?,
        _ if context.quiet => print_table(context, &tasks, &args)?,
        _ => print_json(context, &db, &tasks).await?,
    }
    if let Some(first) = tasks.first()
        && tasks.len() as i64 == args.limit
    {
        let older = task::list::count_older(&db, &filter, first.id, MAX_COUNTED).await?;
        note_older(context, older);
    }
    Ok(Exit::Done.into())
}

fn state_parser() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str)).try_map(|word| word.parse::<State>())
}

/// Prints a note with the number of older tasks, if there are any.
fn note_older(context: &Context, older: i64) {
    match older {
        0 => {}
        MAX_COUNTED => context.note(format_args!("{older} older tasks or more: see `--limit`")),
        1 => context.note("1 older task: see `--limit`"),
        _ => context.note(format_args!("{older} older tasks: see `--limit`")),
    }
}

fn print_table(context: &Context, tasks: &[ListedTask], args: &Args) -> anyhow::Result<()> {
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

/// Returns one line: id, operation, state, domain, times, and the reason unless the task is done. `worker`: whether to
/// show the worker and host.
fn cells(task: &ListedTask, worker: bool) -> Vec<Cell> {
    let lines = task.lines.map(|lines| format!("{lines} log lines")).unwrap_or_default();
    let claimed_by = match (worker, task.worker, &task.host) {
        (true, Some(worker), Some(host)) => format!("worker={worker}@{host}"),
        (true, None, Some(host)) => format!("host={host}"),
        _ => String::new(),
    };
    let dates = time_text::timeline(task.queued_at, task.started_at, task.finished_at);
    vec![
        Cell::number(task.id),
        task.operation.as_str().into(),
        Cell::styled(task.state.as_str(), style_of(task.state)),
        format!("domain={}", task.domain).into(),
        lines.into(),
        claimed_by.into(),
        dates.into(),
        reason(task).into(),
    ]
}

/// Returns the reason of the task's state, when a delayed task is due, which task a waiting one waits for, or the pause
/// for which a task waits. Empty if there is nothing to explain.
fn reason(task: &ListedTask) -> String {
    if let (State::Queued, Some(pause)) = (task.state, &task.pause) {
        return pause_text::explained(pause);
    }
    match (task.state, &task.reason, task.delayed_until) {
        (State::Done, ..) => String::new(),
        (State::Delayed, Some(reason), Some(until)) => {
            format!("not before {}, after {reason}", time_text::timestamp(until))
        }
        (State::Delayed, None, Some(until)) => {
            format!("not before {}", time_text::timestamp(until))
        }
        (State::Delayed, _, None) => "until it is retried".to_owned(),
        (State::Waiting, ..) => {
            task.waits_for.as_ref().map(|tasks| format!("for {tasks}")).unwrap_or_default()
        }
        (_, Some(reason), _) => reason.clone(),
        _ => String::new(),
    }
}

/// Prints complete tasks as JSON. Only a few are in memory at a time, because their inputs may be large.
async fn print_json(context: &Context, db: &Db, tasks: &[ListedTask]) -> anyhow::Result<()> {
    let mut list = context.json_list()?;
    for chunk in tasks.chunks(JSON_CHUNK) {
        let ids: Vec<i64> = chunk.iter().map(|task| task.id).collect();
        for task in task::show::show(db, &ids).await? {
            list.item(&task)?;
        }
    }
    list.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: State) -> ListedTask {
        ListedTask {
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
            waits_for: None,
            pause: None,
        }
    }

    fn line(task: &ListedTask, worker: bool) -> String {
        let mut table = Table::default();
        table.row(cells(task, worker));
        table.render(false)
    }

    #[test]
    fn a_line_has_all_fields_in_their_order() {
        let dates = time_text::timeline(task(State::Done).queued_at, None, None);
        assert_eq!(
            line(&task(State::Queued), false),
            format!("1 my_first_task queued domain=default {dates}\n")
        );
        let failed = ListedTask {
            reason: Some("exit code 3".into()),
            lines: Some(2),
            ..task(State::Failed)
        };
        assert_eq!(
            line(&failed, true),
            format!(
                "1 my_first_task failed domain=default 2 log lines worker=3@alpha {dates} exit code 3\n"
            )
        );
    }

    #[test]
    fn a_waiting_task_shows_which_task_it_waits_for() {
        let waits_for = Some("task 7 (running) and 2 more".to_owned());
        let waiting = ListedTask { waits_for, ..task(State::Waiting) };
        assert!(line(&waiting, false).ends_with(" for task 7 (running) and 2 more\n"));
    }

    #[test]
    fn a_task_that_is_done_shows_no_reason() {
        let done = ListedTask { reason: Some("exit code 0".into()), ..task(State::Done) };
        assert!(line(&done, false).ends_with("]\n"));
    }
}
