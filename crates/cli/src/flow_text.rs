//! Renders a flow as text for people: as a tree of its patterns and steps, and as a table of its steps.
//! `commands/show_task/flow.rs` prints both.

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Utc};
use rework_core::{
    flow::{
        rounds::{EndedRound, RoundStep},
        show::{Flow, FlowPage, FlowScope, FlowStep, StepTask},
        state::{Phase, StepState},
        tree::{TreeItem, TreeLine, lines},
    },
    task::{show::Task, state::State},
};
use serde_json::{Value, value::RawValue};

use crate::{
    escape,
    table::{Cell, Table},
    task_text, time_text, value_text,
};

const DIM: Style = Style::new().dimmed();

/// The largest number of steps that are named in the line of an ended round.
const SHOWN_STEPS: usize = 5;

/// Returns the lines of a flow. `now` is the time until which unfinished tasks are shown to last; `None` leaves their
/// durations out, so that a line changes only if something happens.
pub(crate) fn tree(
    task: &Task,
    page: &FlowPage,
    now: Option<DateTime<Utc>>,
    colour: bool,
) -> Vec<String> {
    let mut table = Table::wide();
    let lines = lines(page);
    for line in &lines {
        if let TreeItem::Step(step) = line.item {
            let name = format!("{}{}", line.branches, step.name);
            table.row([Cell::from(name)].into_iter().chain(cells(step, now)));
        }
    }
    let table = table.render(colour);
    let mut of_steps = table.lines();
    let mut texts = vec![root(task, page, now, colour)];
    texts.extend(lines.iter().map(|line| match &line.item {
        TreeItem::Step(_) => of_steps.next().unwrap_or_default().to_owned(),
        _ => escape::line(&branch(line)).into_owned(),
    }));
    texts
}

/// Returns the line of the flow itself, for example `7 make_server  waiting  executing 4/9  12.4 s`.
fn root(task: &Task, page: &FlowPage, now: Option<DateTime<Utc>>, colour: bool) -> String {
    let name = escape::line(&task.operation).into_owned();
    let style = if colour { task_text::style_of(task.state) } else { Style::new() };
    let scope = page.scopes.first();
    // If the flow is reverted for good, its phase says so.
    let aim = scope.filter(|_| page.flow.phase == Phase::Executing).and_then(aim);
    let details = [Some(progress(&page.flow)), scope.and_then(rounds), aim.map(str::to_owned)];
    let details: Vec<String> = details.into_iter().flatten().collect();
    let until = page.flow.ended_at.or(now);
    let took = until.map(|until| {
        time_text::duration_between(task.started_at.unwrap_or(page.flow.made_at), until)
    });
    let parts = [
        Some(format!("{} {name}", task.id)),
        Some(format!("{style}{}{style:#}", task.state)),
        Some(details.join(", ")),
        took,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// Returns the phase of a flow with the number of steps that are over, for example `executing 4/9`. While steps are being
/// reverted, only those that had started count.
fn progress(flow: &Flow) -> String {
    let count = |state| flow.steps.get(&state).copied().unwrap_or(0);
    let every: i64 = flow.steps.values().sum();
    let (over, all) = match flow.phase {
        Phase::Reverting | Phase::RevertFailed | Phase::Reverted => {
            (count(StepState::Reverted), every - count(StepState::Pending))
        }
        _ => (count(StepState::Done) + count(StepState::Skipped) + count(StepState::Failed), every),
    };
    if flow.phase == Phase::Done {
        return format!("{over}/{all}");
    }
    format!("{} {over}/{all}", flow.phase.as_str().replace('_', " "))
}

/// Returns which round of a pattern is the present one, for example `round 2 of 3`. `None` if it has only one.
fn rounds(scope: &FlowScope) -> Option<String> {
    match scope.rounds {
        Some(rounds) => Some(format!("round {} of {rounds}", scope.round)),
        None if scope.controller.is_some() || scope.round > 1 => {
            Some(format!("round {}", scope.round))
        }
        None => None,
    }
}

/// Returns a line that is not about a step.
fn branch(line: &TreeLine<'_>) -> String {
    let text = match &line.item {
        TreeItem::Scope(scope) => pattern(scope),
        TreeItem::Step(step) => step.name.clone(),
        TreeItem::Round(round) => ended_round(round),
        TreeItem::EarlierRounds(1) => "1 earlier round".to_owned(),
        TreeItem::EarlierRounds(count) => format!("{count} earlier rounds"),
        TreeItem::MoreSteps(1) => "1 more step".to_owned(),
        TreeItem::MoreSteps(count) => format!("{count} more steps"),
    };
    format!("{}{text}", line.branches)
}

/// Returns a pattern, for example `parts  unordered, round 2 of 3`.
fn pattern(scope: &FlowScope) -> String {
    let parts = [Some(scope.pattern.clone()), rounds(scope), aim(scope).map(str::to_owned)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}  {}", scope.name, parts.join(", "))
}

/// Returns that the steps of a pattern are being reverted. `None` if they are not.
fn aim(scope: &FlowScope) -> Option<&'static str> {
    match scope.aim.as_deref()? {
        "answer" => Some("its controller decides"),
        "retry" => Some("reverting to try again"),
        _ => Some("reverting"),
    }
}

/// Returns a round that has ended, for example `round 1: volume failed #31 exit code 3; reverted volume #35, vm #36`.
fn ended_round(round: &EndedRound<'_>) -> String {
    let failed = |step: &RoundStep<'_>| {
        let task = step.past.task.as_ref().filter(|task| task.state != State::Done)?;
        let reason = task.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
        Some(format!("{} {} #{}{reason}", step.past.step, task.state, task.id))
    };
    let reverted = |step: &RoundStep<'_>| {
        let task = step.past.undo_task.as_ref()?;
        Some(format!("{} #{}", step.past.step, task.id))
    };
    let failed = shortened(round.steps.iter().filter_map(failed).collect());
    let reverted = shortened(round.steps.iter().rev().filter_map(reverted).collect());
    let reverted = reverted.map(|steps| format!("reverted {steps}"));
    let parts: Vec<String> = [failed, reverted].into_iter().flatten().collect();
    format!("round {}: {}", round.round, parts.join("; "))
}

/// Returns the first texts of a list. `None` if the list is empty.
fn shortened(texts: Vec<String>) -> Option<String> {
    let more = texts.len().saturating_sub(SHOWN_STEPS);
    let shown = texts.into_iter().take(SHOWN_STEPS).collect::<Vec<_>>().join(", ");
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown),
        (false, _) => Some(format!("{shown} and {more} more")),
    }
}

/// Returns the cells of a step behind its name: state, id of the task, duration, host, and progress or reason.
fn cells(step: &FlowStep, now: Option<DateTime<Utc>>) -> Vec<Cell> {
    let (state, style) = state_of(step);
    let task = present_task(step);
    let id = task.map(|task| format!("#{}", task.id)).unwrap_or_default();
    let took = task.and_then(|task| {
        let until = task.finished_at.or(now)?;
        Some(time_text::duration_between(task.started_at?, until))
    });
    vec![
        Cell::styled(state, style),
        id.into(),
        took.unwrap_or_default().into(),
        task.and_then(|task| task.host.clone()).unwrap_or_default().into(),
        task.and_then(explanation).or_else(|| failure(step)).unwrap_or_default().into(),
    ]
}

/// Returns why a step failed that is being reverted, for example `failed #27 exit code 3`. `None` if it did not.
fn failure(step: &FlowStep) -> Option<String> {
    let (task, _) = step.task.as_ref().zip(step.undo_task.as_ref())?;
    let reason = task.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    (task.state != State::Done).then(|| format!("{} #{}{reason}", task.state, task.id))
}

/// Returns the task that a step has now: that which reverts it, else that which executes it.
fn present_task(step: &FlowStep) -> Option<&StepTask> {
    step.undo_task.as_ref().or(step.task.as_ref())
}

/// Returns the word for the state of a step, and its colour. A step that has started, or has failed, shows the state of
/// its task.
pub(crate) fn state_of(step: &FlowStep) -> (&'static str, Style) {
    let task = present_task(step).map(|task| task.state);
    match (step.state, task) {
        (StepState::Started | StepState::Failed, Some(task)) => {
            (task.as_str(), task_text::style_of(task))
        }
        (StepState::Started, None) => ("started", Style::new()),
        (StepState::Done, _) => ("done", task_text::style_of(State::Done)),
        (StepState::Failed, None) => ("failed", task_text::style_of(State::Failed)),
        (StepState::Reverting, _) => ("reverting", AnsiColor::Magenta.on_default()),
        (StepState::RevertFailed, _) => ("revert failed", task_text::style_of(State::Failed)),
        // A skipped step has no task, also after it was reverted with the others.
        (StepState::Skipped, _) | (StepState::Reverted, None) => ("skipped", DIM),
        (StepState::Reverted, Some(_)) => ("reverted", AnsiColor::Magenta.on_default()),
        (StepState::Pending, _) => ("pending", DIM),
        (StepState::Withdrawn, _) => ("withdrawn", DIM),
        (StepState::Decided, _) => ("decided", DIM),
    }
}

/// Returns the progress of a task that has not ended, or why it ended. `None` if there is nothing to explain.
fn explanation(task: &StepTask) -> Option<String> {
    match task.state {
        State::Done => None,
        State::Running => task.progress.as_deref().and_then(percent),
        _ => task.reason.clone(),
    }
}

/// Returns the progress in percent, for example `40 %`. Without a total, returns what was reported.
fn percent(progress: &RawValue) -> Option<String> {
    let value: Value = serde_json::from_str(progress.get()).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    match (number("done"), number("total")) {
        (Some(done), Some(total)) if total > 0.0 => Some(format!("{:.0} %", done / total * 100.0)),
        _ => value_text::progress(progress),
    }
}

/// Returns the commands that are useful next for a flow that has a plan, with what each does.
pub(crate) fn next_commands(task: &Task, flow: &Flow) -> String {
    let id = task.id;
    match flow.phase {
        Phase::RevertFailed => format!(
            "`rework retry-task {id}` tries the revert again, with `--reverted STEP` if you have undone the step; \
             `rework abort-task {id}` ends the flow, and leaves what is not reverted"
        ),
        Phase::Stopped => format!(
            "`rework log-task {id} --steps` shows what its steps wrote, `rework retry-task {id}` lets it go on"
        ),
        Phase::Reverted => format!(
            "`rework log-task {id} --steps` shows what its steps wrote, `rework retry-task {id}` makes a new plan"
        ),
        Phase::Done => format!("`rework log-task {id} --steps` shows what its steps wrote"),
        Phase::Executing => format!(
            "`rework show-task {id} --watch` follows it, `rework abort-task {id}` stops and reverts its steps"
        ),
        Phase::Reverting | Phase::Stopping => format!(
            "`rework show-task {id} --watch` follows it, `rework wait-task {id}` waits for its end"
        ),
    }
}

#[cfg(test)]
mod tests;
