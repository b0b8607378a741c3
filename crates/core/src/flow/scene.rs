//! Flows for the tests of this folder, without a database.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    flow::{
        show::{Flow, FlowPage, FlowScope, FlowStep, PastStep, StepTask},
        state::{Phase, StepKind, StepState},
    },
    task::state::State,
};

/// Returns a time, in seconds after a fixed moment.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// Returns a task that ran from `start` to `end`, in seconds. `None` for an end that has not come.
pub(super) fn task(id: i64, state: State, start: i64, end: Option<i64>) -> StepTask {
    StepTask {
        id,
        state,
        host: Some("alpha".to_owned()),
        started_at: Some(at(start)),
        finished_at: end.map(at),
        reason: (state == State::Failed).then(|| "exit code 3".to_owned()),
        progress: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a step may have no task")]
pub(super) fn done(id: i64, start: i64) -> Option<StepTask> {
    Some(task(id, State::Done, start, Some(start + 1)))
}

#[expect(clippy::unnecessary_wraps, reason = "a step may have no task")]
pub(super) fn failed(id: i64, start: i64) -> Option<StepTask> {
    Some(task(id, State::Failed, start, Some(start + 1)))
}

/// Returns a scope with the steps `first` to `last`. With `rounds`, it is in round `round` of so many.
pub(super) fn scope(
    (number, outer): (i32, Option<i32>),
    name: &str,
    (first, last): (i32, i32),
    round: i32,
    rounds: Option<i64>,
) -> FlowScope {
    FlowScope {
        number,
        outer,
        first,
        last,
        name: name.to_owned(),
        pattern: "linear".to_owned(),
        controller: rounds.map(|_| "times".to_owned()),
        round,
        rounds,
        ..FlowScope::default()
    }
}

/// Returns a step, whose name ends with ` enter` or ` exit` if it is a gate. The steps of a page are in a line.
pub(super) fn step(number: i32, name: &str, scope: i32, state: StepState) -> FlowStep {
    let kind = match name.rsplit_once(' ') {
        Some((_, "enter")) => StepKind::Enter,
        Some((_, "exit")) => StepKind::Exit,
        _ => StepKind::Task,
    };
    FlowStep { number, name: name.to_owned(), scope, kind, state, ..FlowStep::default() }
}

pub(super) fn with_tasks(
    step: FlowStep,
    task: Option<StepTask>,
    undo_task: Option<StepTask>,
) -> FlowStep {
    FlowStep { task, undo_task, ..step }
}

/// Returns a row about an earlier round of a scope.
pub(super) fn past(
    step: &str,
    (scope, round): (i32, i32),
    task: Option<StepTask>,
    undo_task: Option<StepTask>,
) -> PastStep {
    let (step, scope) = (step.to_owned(), Some(scope));
    PastStep { id: 0, step, scope, round, state: StepState::Reverted, task, undo_task }
}

/// Returns a flow whose steps are in a line. Ids of rows about earlier rounds are given in their order.
pub(super) fn page(
    phase: Phase,
    scopes: Vec<FlowScope>,
    mut steps: Vec<FlowStep>,
    mut past: Vec<PastStep>,
) -> FlowPage {
    let numbers: Vec<i32> = steps.iter().map(|step| step.number).collect();
    for (index, step) in steps.iter_mut().enumerate() {
        step.before = numbers[..index].last().copied().into_iter().collect();
        step.after = numbers[index + 1..].first().copied().into_iter().collect();
    }
    for (id, row) in (1..).zip(past.iter_mut()) {
        row.id = id;
    }
    let mut counts = BTreeMap::new();
    for step in steps.iter().filter(|step| step.kind == StepKind::Task) {
        *counts.entry(step.state).or_default() += 1;
    }
    let reverts = matches!(phase, Phase::Reverting | Phase::Reverted);
    let flow = Flow {
        id: 7,
        name: "f".to_owned(),
        phase,
        ends_as: reverts.then(|| "failed".to_owned()),
        failures: Vec::new(),
        steps: counts,
        made_at: at(0),
        ended_at: None,
    };
    FlowPage { flow, scopes, steps, past, more_steps: 0 }
}
