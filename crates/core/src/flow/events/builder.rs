//! Finds the events of a flow and the causes of each.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    causes::Causes,
    made::{Made, controller_name, entry_events, run_events},
    runs::{ScopeEntry, StepRun, is_within, scope_entries, step_runs},
};
use crate::{
    flow::{
        rounds::{EndedRound, Scopes, ended_rounds},
        show::{FlowPage, FlowScope, FlowStep},
        state::{Phase, StepKind, StepState},
    },
    task::state::State,
};

/// Returns all events of a flow with their causes.
pub(super) fn causes(page: &FlowPage) -> Causes {
    let mut causes = Causes::default();
    let story = Story::new(page, &mut causes);
    for (cause, effect) in story.forward().into_iter().chain(story.backward()) {
        causes.connect(cause, effect);
    }
    let end = match page.flow.phase {
        Phase::Done => "SUCCESS",
        Phase::Reverted => "REVERTED",
        Phase::Stopped | Phase::RevertFailed => "FAILURE",
        Phase::Executing | Phase::Reverting | Phase::Stopping => return causes,
    };
    let end = causes.add("FLOW", end, page.flow.ended_at);
    (0..end).for_each(|event| causes.connect(event, end));
    causes
}

/// Everything that happened in a flow, with the indexes of its events.
struct Story<'a> {
    page: &'a FlowPage,
    steps: BTreeMap<i32, &'a FlowStep>,
    rounds: Vec<EndedRound<'a>>,
    /// The event `FLOW=RUNNING`.
    start: usize,
    /// The history of each step, by its number.
    runs: BTreeMap<i32, Vec<Made<StepRun<'a>>>>,
    /// The entries of each scope that has a controller, by its number.
    entries: BTreeMap<i32, Vec<Made<ScopeEntry<'a>>>>,
    /// The events `PENDING` after each ended round.
    resets: Vec<Vec<usize>>,
}

impl<'a> Story<'a> {
    /// Adds the events of a flow, without their causes.
    fn new(page: &'a FlowPage, causes: &mut Causes) -> Story<'a> {
        let rounds = ended_rounds(page);
        let start = causes.add("FLOW", "RUNNING", Some(page.flow.made_at));
        let runs = step_runs(page, &rounds);
        let mut entries = BTreeMap::new();
        for (number, of_scope) in scope_entries(page, &rounds, &runs) {
            let made = of_scope.into_iter().map(|entry| {
                let is_past = entry.span.until < rounds.len();
                entry_events(causes, entry, is_past || is_reverted(page, entry.scope))
            });
            entries.insert(number, made.collect());
        }
        let mut of_step =
            |runs: Vec<StepRun<'a>>| runs.into_iter().map(|run| run_events(causes, run)).collect();
        let runs = runs.into_iter().map(|(number, runs)| (number, of_step(runs))).collect();
        let steps = page.steps.iter().map(|step| (step.number, step)).collect();
        let mut story = Story { page, steps, rounds, start, runs, entries, resets: Vec::new() };
        story.resets = (0..story.rounds.len()).map(|until| story.reset(until, causes)).collect();
        story
    }

    /// Adds an event `PENDING` for each step and each controller that an ended round has reset.
    fn reset(&self, until: usize, causes: &mut Causes) -> Vec<usize> {
        let runs =
            self.runs_until(until).map(|run| (run.what.step.number, run.what.step.name.clone()));
        let entries = self.entries_until(until).filter(|entry| !entry.what.is_tried_again);
        let entries = entries.map(|entry| {
            let scope = entry.what.scope;
            (scope.first, controller_name(scope))
        });
        let names: BTreeSet<(i32, String)> = runs.chain(entries).collect();
        names.iter().map(|(_, name)| causes.add(name, "PENDING", None)).collect()
    }

    /// Returns the causes of what steps and controllers began, as pairs of cause and effect.
    fn forward(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        let scopes = Scopes::new(&self.page.scopes);
        for run in self.runs.values().flatten() {
            let Some((first, _)) = run.forward else { continue };
            let StepRun { step, span, .. } = run.what;
            let around = scopes.outwards(step.scope);
            let causes = self.causes_of_start(step, span.since, span.until, around);
            pairs.extend(causes.into_iter().map(|cause| (cause, first)));
        }
        for entry in self.entries.values().flatten() {
            let Some((first, _)) = entry.forward else { continue };
            let ScopeEntry { scope, span, .. } = entry.what;
            let gate = self.steps.get(&scope.first).filter(|step| step.kind == StepKind::Enter);
            let Some(gate) = gate else {
                pairs.push((self.start, first));
                continue;
            };
            let around = scopes.outwards(scope.number).skip(1);
            let causes = self.causes_of_start(gate, span.since, span.until, around);
            pairs.extend(causes.into_iter().map(|cause| (cause, first)));
        }
        pairs
    }

    /// Returns what had to come before a step or a gate started, in a round that ended as round `until`: the start of
    /// the flow, the reset after round `since - 1`, the controller next around it, and the steps before it.
    fn causes_of_start<'s>(
        &self,
        step: &FlowStep,
        since: usize,
        until: usize,
        around: impl Iterator<Item = &'s FlowScope>,
    ) -> Vec<usize> {
        let mut causes = vec![self.start];
        let reset = since.checked_sub(1).and_then(|round| self.resets.get(round)?.last());
        causes.extend(reset);
        let mut around = around.filter_map(|scope| self.entries.get(&scope.number));
        let entry = around.next().and_then(|entries| {
            entries.iter().find(|entry| entry.what.span.until >= until)?.forward
        });
        causes.extend(entry.map(|(_, last)| last));
        for number in self.beyond_gates(step, |step| &step.before).steps {
            let runs = self.runs.get(&number).into_iter().flatten();
            // One that started after the round had ended is no cause.
            let mut runs = runs.filter(|run| run.what.span.until >= until);
            let run = runs.next().filter(|run| run.what.span.since <= until);
            causes.extend(run.and_then(|run| run.forward).map(|(_, last)| last));
        }
        causes
    }

    /// Returns the causes of reverts, retries and resets, as pairs of cause and effect.
    fn backward(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for run in self.runs.values().flatten() {
            let Some((first, _)) = run.undo else { continue };
            pairs.extend(self.causes_of_revert(run).into_iter().map(|cause| (cause, first)));
        }
        for entry in self.entries.values().flatten() {
            let Some((first, _)) = entry.undo else { continue };
            let ScopeEntry { scope, span, .. } = entry.what;
            let runs = self.runs_until(span.until);
            let runs =
                runs.filter(|run| is_within(run.what.step.number, scope)).filter_map(Made::last);
            let inner = self.entries_until(span.until).filter(|inner| {
                is_within(inner.what.scope.first, scope) && inner.what.scope.number > scope.number
            });
            let own = entry.forward.map(|(_, last)| last);
            let causes = runs.chain(inner.filter_map(Made::last)).chain(own);
            pairs.extend(causes.map(|cause| (cause, first)));
        }
        for (until, reset) in self.resets.iter().enumerate() {
            let Some(&first) = reset.first() else { continue };
            let ended = self.runs_until(until).filter_map(Made::last);
            let ended = ended.chain(self.entries_until(until).filter_map(Made::last));
            pairs.extend(ended.map(|last| (last, first)));
            pairs.extend(reset.iter().zip(reset.iter().skip(1)).map(|(one, next)| (*one, *next)));
        }
        pairs
    }

    /// Returns what had to come before a step was reverted: its own end, the reverts of what follows it, and the first
    /// failure of the round if the time of the revert is not known.
    fn causes_of_revert(&self, run: &Made<StepRun<'a>>) -> Vec<usize> {
        let until = run.what.span.until;
        let mut causes: Vec<usize> = run.forward.map(|(_, last)| last).into_iter().collect();
        let beyond = self.beyond_gates(run.what.step, |step| &step.after);
        let after = beyond.steps.iter().filter_map(|number| self.runs.get(number)).flatten();
        let after = after.filter(|after| after.what.span.until == until);
        causes.extend(after.filter_map(|after| after.undo).map(|(_, last)| last));
        let inner = beyond.scopes.iter().filter_map(|number| self.entries.get(number)).flatten();
        let inner = inner.filter(|inner| inner.what.span.until == until);
        causes.extend(inner.filter_map(|inner| inner.undo).map(|(_, last)| last));
        if run.what.undo_task.is_none() {
            let failed = |run: &&Made<StepRun<'_>>| {
                run.what.end().is_some_and(|(state, _)| state != State::Done)
            };
            let failures = self.runs_until(until).filter(failed);
            let first = failures.min_by_key(|run| run.what.end().and_then(|(_, at)| at));
            causes.extend(first.and_then(|run| run.forward).map(|(_, last)| last));
        }
        causes
    }

    fn runs_until(&self, until: usize) -> impl Iterator<Item = &Made<StepRun<'a>>> {
        self.runs.values().flatten().filter(move |run| run.what.span.until == until)
    }

    fn entries_until(&self, until: usize) -> impl Iterator<Item = &Made<ScopeEntry<'a>>> {
        self.entries.values().flatten().filter(move |entry| entry.what.span.until == until)
    }

    /// Returns the steps that are next to a step, in the direction of `next`. The way leads through gates.
    fn beyond_gates(&self, step: &FlowStep, next: impl Fn(&FlowStep) -> &[i32]) -> Beyond {
        let mut beyond = Beyond::default();
        let mut known = BTreeSet::new();
        let mut open: Vec<i32> = next(step).to_vec();
        while let Some(number) = open.pop() {
            let Some(step) = self.steps.get(&number).filter(|_| known.insert(number)) else {
                continue;
            };
            match step.kind {
                StepKind::Task => beyond.steps.push(number),
                StepKind::Enter => {
                    beyond.scopes.push(step.scope);
                    open.extend(next(step));
                }
                StepKind::Exit => open.extend(next(step)),
            }
        }
        beyond
    }
}

/// The steps that are next to a step, and the scopes whose entries are on the way.
#[derive(Default)]
struct Beyond {
    steps: Vec<i32>,
    scopes: Vec<i32>,
}

/// Returns whether a scope is reverted for good: the flow is being reverted, and no step of the scope is left.
fn is_reverted(page: &FlowPage, scope: &FlowScope) -> bool {
    let is_being_reverted =
        matches!(page.flow.phase, Phase::Reverting | Phase::RevertFailed | Phase::Reverted);
    let within = page.steps.iter().filter(|step| is_within(step.number, scope));
    let mut executed = within.filter(|step| step.kind == StepKind::Task && step.task.is_some());
    is_being_reverted
        && page.flow.ends_as.is_some()
        && executed.all(|step| step.state == StepState::Reverted)
}
