//! Lists what each step of a flow did, once for each round, and when each controller let its scope start.
//!
//! Rounds that have ended are numbered from 0 in their order. The present has the next number.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    flow::{
        rounds::{EndedRound, Scopes},
        show::{FlowPage, FlowScope, FlowStep, StepTask},
        state::{StepKind, StepState},
    },
    task::state::State,
};

/// The history of a step in one round: it ran and may have been reverted, or it was skipped.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepRun<'a> {
    pub(super) step: &'a FlowStep,
    pub(super) state: StepState,
    /// The task that executed it. `None` if it was skipped.
    pub(super) task: Option<&'a StepTask>,
    pub(super) undo_task: Option<&'a StepTask>,
    pub(super) span: RoundSpan,
}

impl StepRun<'_> {
    /// Returns how and when its task ended. `None` if it has not, or if there is none.
    pub(super) fn end(&self) -> Option<(State, Option<DateTime<Utc>>)> {
        let task = self.task.filter(|task| task.state.is_end())?;
        Some((task.state, task.finished_at))
    }
}

/// The entry of a scope that has a controller.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScopeEntry<'a> {
    pub(super) scope: &'a FlowScope,
    /// Whether the round ended because the controller of this scope tried again.
    pub(super) is_tried_again: bool,
    pub(super) span: RoundSpan,
}

/// The rounds during which something lasted: after the end of round `since - 1` until the end of round `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoundSpan {
    pub(super) since: usize,
    pub(super) until: usize,
}

/// Returns what each step did, by its number, in the order of the rounds.
pub(super) fn step_runs<'a>(
    page: &'a FlowPage,
    rounds: &[EndedRound<'a>],
) -> BTreeMap<i32, Vec<StepRun<'a>>> {
    let mut runs = BTreeMap::<i32, Vec<StepRun<'a>>>::new();
    let steps: BTreeMap<i32, &FlowStep> =
        page.steps.iter().map(|step| (step.number, step)).collect();
    let span = |number: i32, until: usize| {
        let contains = |round: &EndedRound<'_>| is_within(number, round.scope);
        RoundSpan {
            since: rounds[..until].iter().rposition(contains).map_or(0, |at| at + 1),
            until,
        }
    };
    for (until, round) in rounds.iter().enumerate() {
        for done in &round.steps {
            let Some(step) = steps.get(&done.number) else { continue };
            let (task, undo_task) = (done.past.task.as_ref(), done.past.undo_task.as_ref());
            let (state, span) = (done.past.state, span(done.number, until));
            runs.entry(done.number).or_default().push(StepRun {
                step,
                state,
                task,
                undo_task,
                span,
            });
        }
    }
    for step in page.steps.iter().filter(|step| step.kind == StepKind::Task) {
        let was_skipped = matches!(step.state, StepState::Skipped | StepState::Reverted);
        if step.task.is_some() || was_skipped {
            let (task, undo_task) = (step.task.as_ref(), step.undo_task.as_ref());
            let (state, span) = (step.state, span(step.number, rounds.len()));
            runs.entry(step.number).or_default().push(StepRun {
                step,
                state,
                task,
                undo_task,
                span,
            });
        }
    }
    runs
}

/// Returns the entries of the scopes that have a controller, by the number of the scope, in the order of the rounds.
pub(super) fn scope_entries<'a>(
    page: &'a FlowPage,
    rounds: &[EndedRound<'a>],
    runs: &BTreeMap<i32, Vec<StepRun<'a>>>,
) -> BTreeMap<i32, Vec<ScopeEntry<'a>>> {
    let scopes = Scopes::new(&page.scopes);
    let mut entries = BTreeMap::new();
    for scope in scopes.all().filter(|scope| scope.controller.is_some()) {
        let is_around = |round: &EndedRound<'_>| {
            scopes.outwards(scope.number).any(|outer| outer.number == round.scope.number)
        };
        let ends = rounds.iter().enumerate().filter(|(_, round)| is_around(round));
        let ends = ends.map(|(until, round)| (until, round.scope.number == scope.number));
        let mut since = 0;
        let mut of_scope = Vec::new();
        for (until, is_tried_again) in ends.chain([(rounds.len(), false)]) {
            let span = RoundSpan { since, until };
            let was_entered = runs
                .range(scope.first..=scope.last.max(scope.first))
                .flat_map(|(_, runs)| runs)
                .any(|run| (since..=until).contains(&run.span.until) && run.task.is_some());
            if was_entered {
                of_scope.push(ScopeEntry { scope, is_tried_again, span });
            }
            since = until + 1;
        }
        entries.insert(scope.number, of_scope);
    }
    entries
}

/// Returns whether a step is within a scope.
pub(super) fn is_within(number: i32, scope: &FlowScope) -> bool {
    (scope.first..=scope.last).contains(&number)
}
