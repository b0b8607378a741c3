//! Adds the events of what steps and controllers did.

use super::{
    causes::Causes,
    runs::{ScopeEntry, StepRun},
};
use crate::{
    flow::{
        show::{FlowScope, StepTask},
        state::StepState,
    },
    task::state::State,
};

/// Something that happened, with the indexes of its first and its last event.
pub(super) struct Made<T> {
    pub(super) what: T,
    /// The events until it was over. `None` if it has not started.
    pub(super) forward: Option<(usize, usize)>,
    /// The events of being reverted, or of trying again.
    pub(super) undo: Option<(usize, usize)>,
}

impl<T> Made<T> {
    /// Returns the last event.
    pub(super) fn last(&self) -> Option<usize> {
        self.undo.or(self.forward).map(|(_, last)| last)
    }
}

/// Adds the events of what a step did in one round.
pub(super) fn run_events<'a>(causes: &mut Causes, run: StepRun<'a>) -> Made<StepRun<'a>> {
    let name = &run.step.name;
    let Some(task) = run.task else {
        let skipped = causes.add(name, "IGNORE", None);
        return Made { what: run, forward: Some((skipped, skipped)), undo: None };
    };
    let mut pair = |task: Option<&StepTask>, first: &'static str, last: Option<&'static str>| {
        let first = causes.add(name, first, task.and_then(|task| task.started_at));
        let at = task.and_then(|task| task.finished_at);
        let last = last.map_or(first, |last| causes.add(name, last, at));
        causes.connect(first, last);
        (first, last)
    };
    let end = run.end().map(|(state, _)| if state == State::Done { "SUCCESS" } else { "FAILURE" });
    let forward = was_started(task).then(|| pair(Some(task), "RUNNING", end));
    let reverted = match run.state {
        StepState::Reverted => Some("REVERTED"),
        StepState::RevertFailed => Some("REVERT_FAILURE"),
        _ => None,
    };
    let has_undo = reverted.is_some() || run.undo_task.is_some_and(was_started);
    let undo = has_undo.then(|| pair(run.undo_task, "REVERTING", reverted));
    Made { what: run, forward, undo }
}

/// Adds the events of a controller that let its scope start once.
pub(super) fn entry_events<'a>(
    causes: &mut Causes,
    entry: ScopeEntry<'a>,
    is_reverted: bool,
) -> Made<ScopeEntry<'a>> {
    let name = controller_name(entry.scope);
    let mut pair = |first, last| {
        let (first, last) = (causes.add(&name, first, None), causes.add(&name, last, None));
        causes.connect(first, last);
        (first, last)
    };
    let forward = Some(pair("RUNNING", "SUCCESS"));
    let undo = if entry.is_tried_again {
        let retrying = causes.add(&name, "RETRYING", None);
        Some((retrying, retrying))
    } else {
        is_reverted.then(|| pair("REVERTING", "REVERTED"))
    };
    Made { what: entry, forward, undo }
}

fn was_started(task: &StepTask) -> bool {
    let waits = matches!(task.state, State::Delayed | State::Waiting | State::Queued);
    task.started_at.is_some() || !waits
}

/// Returns the name of the controller of a scope in events.
pub(super) fn controller_name(scope: &FlowScope) -> String {
    format!("{}_retry", scope.name)
}
