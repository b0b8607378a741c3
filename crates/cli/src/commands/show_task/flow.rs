//! The parts of `rework show-task` that only flows have: the table of their steps, their events, and the tree, which is
//! drawn again while it changes.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use rework_core::{
    db::connect::Db,
    flow::{
        events::events,
        rounds::ended_rounds,
        show::{self, FlowPage, FlowStep, PastStep, StepTask},
        state::{Phase, StepKind},
    },
    task::{self, show::Task},
};

use super::log_task::{no_steps, unknown_task};
use crate::{
    context::Context,
    error_text::usage_error,
    exit::Exit,
    flow_text,
    json_list::on_one_line,
    options::Format,
    redraw::Redraw,
    table::{Cell, Table},
    task_text, time_text,
};

/// The interval at which a watched flow is read.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// The number of lines of a terminal whose size is not known.
const USUAL_HEIGHT: usize = 24;

/// The form in which a flow is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Steps,
    Events,
    Watch,
}

/// Prints a view of each flow. If one is not a flow, prints an error for it, and the exit code is 1.
pub(super) async fn run(view: View, tasks: &[i64], context: &Context) -> anyhow::Result<ExitCode> {
    if view == View::Watch {
        return match tasks {
            [task] if context.format == Format::Table => watch(*task, context).await,
            [_] => Err(usage_error(
                "`--watch` is for people, so it cannot be combined with `-o`",
                "`rework wait-task TASK` waits for the end, `rework show-task TASK -o json` shows it",
            )),
            _ => Err(usage_error(
                "`--watch` shows one flow, and several tasks are given",
                "`rework show-task FLOW --watch`",
            )),
        };
    }
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for &id in tasks {
        match show::whole(&db, id).await? {
            None => {
                context.print_error(&without_steps(&db, id).await?);
                exit = Exit::Error;
            }
            Some(page) if view == View::Steps => print_steps(&page, context)?,
            Some(page) => print_events(&page, context)?,
        }
    }
    Ok(exit.into())
}

/// Returns the error for a task that is no flow with a plan.
async fn without_steps(db: &Db, task: i64) -> anyhow::Result<anyhow::Error> {
    let is_unknown = task::wait::status(db, &[task]).await?.is_empty();
    Ok(if is_unknown { unknown_task(task) } else { no_steps(task) })
}

/// Prints the steps of a flow with their tasks, those of earlier rounds first.
fn print_steps(page: &FlowPage, context: &Context) -> anyhow::Result<()> {
    let steps = page.steps.iter().filter(|step| step.kind == StepKind::Task);
    match context.format {
        _ if context.quiet => {
            let of_steps = steps.flat_map(|step| [&step.task, &step.undo_task]);
            let mut of_steps = of_steps.filter_map(|task| task.as_ref().map(|task| task.id));
            of_steps.try_for_each(|id| context.print(id))
        }
        Format::Json => context.print(serde_json::to_string_pretty(page)?),
        Format::Jsonl => context.print(on_one_line(page)?),
        Format::Table => {
            let mut table = Table::default();
            let rounds = rounds(page);
            page.past.iter().for_each(|past| table.row(past_cells(past, &rounds)));
            steps.for_each(|step| table.row(step_cells(step)));
            context.write(table.render(context.colour).as_bytes())
        }
    }
}

/// Returns one row: name, state, operation, the tasks that execute and revert the step, times, host and reason.
fn step_cells(step: &FlowStep) -> Vec<Cell> {
    let (state, style) = flow_text::state_of(step);
    let operation = step.operation.as_deref().unwrap_or_default();
    let head = [step.name.as_str().into(), Cell::styled(state, style), operation.into()];
    head.into_iter().chain(task_cells(step.task.as_ref(), step.undo_task.as_ref())).collect()
}

/// Returns the rounds that have ended, with their patterns, by the ids of the rows of their steps.
fn rounds(page: &FlowPage) -> BTreeMap<i64, String> {
    let mut rounds = BTreeMap::new();
    for round in ended_rounds(page) {
        let text = match round.scope.outer {
            None => format!("round {}", round.round),
            Some(_) => format!("round {} of {}", round.round, round.scope.name),
        };
        rounds.extend(round.steps.iter().map(|step| (step.past.id, text.clone())));
    }
    rounds
}

/// Returns the row of a step in an earlier round, or before a retry of the flow.
fn past_cells(past: &PastStep, rounds: &BTreeMap<i64, String>) -> Vec<Cell> {
    let when = match past.scope {
        Some(_) => rounds.get(&past.id).cloned().unwrap_or_else(|| format!("round {}", past.round)),
        None => "before a retry".to_owned(),
    };
    let head = [past.step.as_str().into(), past.state.as_str().into(), when.into()];
    head.into_iter().chain(task_cells(past.task.as_ref(), past.undo_task.as_ref())).collect()
}

fn task_cells(task: Option<&StepTask>, undo_task: Option<&StepTask>) -> [Cell; 5] {
    let id = |label: &str, task: Option<&StepTask>| {
        task.map(|task| format!("{label}{}", task.id)).unwrap_or_default()
    };
    let present = undo_task.or(task);
    let bracketed = |at| format!("[{}]", time_text::timestamp(at));
    let times = present.map(|task| [task.started_at, task.finished_at].map(|at| at.map(bracketed)));
    let times = times.into_iter().flatten().flatten().collect::<Vec<_>>().join(" → ");
    [
        id("#", task).into(),
        id("revert #", undo_task).into(),
        present.and_then(|task| task.host.clone()).unwrap_or_default().into(),
        times.into(),
        present.and_then(|task| task.reason.clone()).unwrap_or_default().into(),
    ]
}

/// Prints what happened in a flow, one event per line.
fn print_events(page: &FlowPage, context: &Context) -> anyhow::Result<()> {
    let events = events(page);
    if context.format == Format::Table {
        let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
        return context.print(lines.join("\n"));
    }
    let mut list = context.json_list()?;
    events.iter().try_for_each(|event| list.item(event))?;
    list.finish()
}

/// Shows a flow until it ends, or until it waits for somebody because a revert failed.
async fn watch(id: i64, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut redraw = Redraw::new(context.terminal);
    loop {
        let Some(task) = task::show::show(&db, &[id]).await?.pop() else {
            return Err(unknown_task(id));
        };
        if !task.details.is_flow {
            return Err(no_steps(id));
        }
        let page = show::first_page(&db, id).await?;
        let height = terminal_size::terminal_size().map_or(USUAL_HEIGHT, |(_, h)| h.0.into());
        let text = redraw.show(watched_lines(&task, page.as_ref(), context), height);
        context.write(text.as_bytes())?;
        let is_stuck = page.is_some_and(|page| page.flow.phase == Phase::RevertFailed);
        if task.state.is_end() || is_stuck {
            return Ok(Exit::Done.into());
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted.into()),
        }
    }
}

/// Returns the lines of a flow. Only a terminal shows durations that grow.
fn watched_lines(task: &Task, page: Option<&FlowPage>, context: &Context) -> Vec<String> {
    let now = context.terminal.then_some(task.details.now);
    let Some(page) = page else {
        let line = task_text::facts(task, context.colour);
        return line.lines().take(1).map(str::to_owned).collect();
    };
    flow_text::tree(task, page, now, context.colour)
}

/// Prints the tree of a flow below its other facts, and returns the commands to type next. `None` if the task is no
/// flow with a plan.
pub(super) async fn print_tree(
    context: &Context,
    db: &Db,
    task: &Task,
) -> anyhow::Result<Option<String>> {
    if !task.details.is_flow {
        return Ok(None);
    }
    let Some(page) = show::first_page(db, task.id).await? else { return Ok(None) };
    let lines = flow_text::tree(task, &page, Some(task.details.now), context.colour);
    context.write(format!("{}\n", lines.join("\n")).as_bytes())?;
    Ok(Some(flow_text::next_commands(task, &page.flow)))
}
