//! The rules by which steps are undone, and scopes are tried again.

use serde_json::{Value, json};

use super::ends::decision;
use super::{
    Aim, End, Model, OpenTask, Phase, Progress, RunningScope, RunningStep, StepState, Work,
};
use crate::description::ControllerKind;
use crate::plan::StepKind;

impl Model<'_> {
    /// Returns the scope around a step that is being undone. `None` if there is none.
    pub(super) fn undone_scope(&self, number: i32) -> Option<i32> {
        let around = |scope: &i32| self.contains(*scope, number);
        let mut undone = (0..self.scopes.len() as i32).filter(around);
        undone.find(|&scope| self.scopes[scope as usize].aim.is_some())
    }

    fn contains(&self, scope: i32, number: i32) -> bool {
        let planned = self.planned_scope(scope);
        (planned.first..=planned.last).contains(&number)
    }

    /// Lets a scope be undone because a step has failed, unless the step is to be undone anyway.
    pub(super) fn undo_after_failure(&mut self, number: i32) {
        if self.undone_scope(number).is_some() {
            return;
        }
        let step = self.planned(number);
        let scope = match step.kind {
            // The controller has not let the scope start, so the one around it decides.
            StepKind::Enter => self.planned_scope(step.scope).outer,
            _ => Some(step.scope),
        };
        let (scope, aim) = self.scope_to_undo(scope);
        self.undo_scope(scope, aim);
    }

    /// Returns which scope is undone, and why, if `scope` or one around it decides: the innermost one whose controller
    /// wants another round, else the whole flow.
    fn scope_to_undo(&self, mut scope: Option<i32>) -> (i32, Aim) {
        while let Some(number) = scope {
            let planned = self.planned_scope(number);
            let rounds = match planned.controller {
                Some(ControllerKind::Operation) if self.can_run(planned.operation) => {
                    return (number, Aim::Answer);
                }
                Some(ControllerKind::Times) => planned.attempts,
                Some(ControllerKind::ForEach | ControllerKind::ForEachOf) => {
                    self.list_of(number).map(|list| list.len() as u32)
                }
                Some(ControllerKind::AlwaysRevertAll) => break,
                Some(ControllerKind::Operation | ControllerKind::AlwaysRevert) | None => None,
            };
            if rounds.is_some_and(|rounds| self.scopes[number as usize].round < rounds) {
                return (number, Aim::Retry);
            }
            if rounds.is_some() && planned.revert_all {
                break;
            }
            scope = planned.outer;
        }
        (0, Aim::Revert)
    }

    /// Returns whether tasks of an operation can be made.
    fn can_run(&self, operation: Option<i64>) -> bool {
        operation.is_none_or(|id| !self.refusals.contains_key(&id))
    }

    /// Lets everything in a scope be undone. Nothing in it is claimed or starts any more.
    pub(super) fn undo_scope(&mut self, scope: i32, aim: Aim) {
        let planned = self.planned_scope(scope);
        let range = planned.first..=planned.last;
        self.tasks.remove(&Work::Decide(scope));
        for inner in self.inner_scopes(scope) {
            self.scope_mut(inner).aim = None;
            self.tasks.remove(&Work::Decide(inner));
        }
        self.withdraw(range.clone(), StepState::Pending);
        self.scope_mut(scope).aim = Some(aim);
        if aim == Aim::Revert && self.phase == Phase::Executing {
            self.phase = Phase::Reverting;
        }
        if aim == Aim::Answer {
            let names: Vec<&str> = range.map(|number| self.planned(number).name.as_str()).collect();
            let failures = self.failures.iter().filter(|(name, _)| names.contains(&name.as_str()));
            let failures: Value = failures.map(|(name, why)| (name.clone(), json!(why))).collect();
            let entry = json!({"value": self.scopes[scope as usize].value, "failures": failures});
            self.scope_mut(scope).history.push(entry);
            let input = json!({"history": self.scopes[scope as usize].history});
            self.tasks.insert(Work::Decide(scope), OpenTask { input, progress: Progress::New });
        }
    }

    fn inner_scopes(&self, scope: i32) -> Vec<i32> {
        let mut inner = Vec::new();
        for number in 0..self.scopes.len() as i32 {
            let outer = self.planned_scope(number).outer;
            if outer.is_some_and(|outer| outer == scope || inner.contains(&outer)) {
                inner.push(number);
            }
        }
        inner
    }

    /// Withdraws the tasks of started steps that no worker has. If none ever had it, the step gets the state `unclaimed`;
    /// else the step has failed.
    pub(super) fn withdraw(&mut self, range: impl IntoIterator<Item = i32>, unclaimed: StepState) {
        for number in range {
            let work = Work::Execute(number);
            let progress = self.tasks.get(&work).map(|task| task.progress);
            let Some(progress @ (Progress::New | Progress::Requeued)) = progress else { continue };
            if self.locked.contains(&work) {
                self.missed = true;
                continue;
            }
            self.tasks.remove(&work);
            self.step_mut(number).state =
                if progress == Progress::New { unclaimed } else { StepState::Failed };
        }
    }

    /// Records the answer of a controller after a failure.
    pub(super) fn take_answer(&mut self, scope: i32, end: &End) {
        // A scope around this one may be undone by now, so that the answer does not matter.
        if self.scopes[scope as usize].aim != Some(Aim::Answer) {
            return;
        }
        let no_output = Value::Null;
        let output = match end {
            End::Done(output) => output,
            End::Failed(_) | End::Refused(_) => &no_output,
        };
        let (scope, aim) = match decision(output) {
            Some("retry") => {
                self.scope_mut(scope).aim = Some(Aim::Retry);
                self.scope_mut(scope).value =
                    Some(output.get("value").cloned().unwrap_or_default());
                return;
            }
            Some("revert_all") => (0, Aim::Revert),
            _ => self.scope_to_undo(self.planned_scope(scope).outer),
        };
        self.undo_scope(scope, aim);
    }

    /// Undoes all steps that can be undone, until there are none.
    pub(super) fn undo_all(&mut self) {
        while let Some(number) = self.numbers().rev().find(|&number| self.can_be_undone(number)) {
            self.undo(number);
        }
    }

    /// Returns whether a step can be undone: a scope around it is being undone, it has ended, and all steps after it in
    /// that scope have not started or were undone.
    fn can_be_undone(&self, number: i32) -> bool {
        let has_ended =
            matches!(self.state(number), StepState::Done | StepState::Failed | StepState::Skipped);
        let Some(scope) = self.undone_scope(number).filter(|_| has_ended) else { return false };
        let after = self.planned(number).after.iter();
        after.filter(|next| self.contains(scope, **next)).all(|next| self.is_undone(*next))
    }

    /// Returns whether nothing has to be undone of a step any more.
    fn is_undone(&self, number: i32) -> bool {
        matches!(self.state(number), StepState::Pending | StepState::Reverted)
    }

    fn undo(&mut self, number: i32) {
        let step = &self.steps[number as usize];
        let is_untouched = step.state == StepState::Skipped || step.was_refused;
        let operation = self.planned(number).undo_operation;
        let Some(operation) = operation.filter(|_| !is_untouched) else {
            self.step_mut(number).state = StepState::Reverted;
            return;
        };
        if !self.can_run(Some(operation)) {
            self.end_revert(number, false);
            return;
        }
        let input = json!({
            "input": step.input,
            "result": step.output,
            "error": step.output.is_none(),
            "failures": self.reasons(),
        });
        self.step_mut(number).state = StepState::Reverting;
        self.tasks.insert(Work::Revert(number), OpenTask { input, progress: Progress::New });
    }

    /// Returns whether everything in a scope that had started was undone.
    pub(super) fn is_all_undone(&self, scope: i32) -> bool {
        let planned = self.planned_scope(scope);
        (planned.first..=planned.last).all(|number| self.is_undone(number))
    }

    /// Returns a scope that was undone and whose next round can start.
    pub(super) fn scope_to_retry(&self) -> Option<i32> {
        (0..self.scopes.len() as i32).find(|&scope| {
            self.scopes[scope as usize].aim == Some(Aim::Retry) && self.is_all_undone(scope)
        })
    }

    /// Lets a scope be tried again. Inside it, nothing of the last round remains.
    pub(super) fn enter_again(&mut self, scope: i32) {
        let planned = self.planned_scope(scope);
        for number in planned.first..=planned.last {
            *self.step_mut(number) = RunningStep::default();
            let name = self.planned(number).name.as_str();
            self.failures.retain(|(failed, _)| failed != name);
        }
        for inner in self.inner_scopes(scope) {
            *self.scope_mut(inner) = RunningScope::default();
        }
        let running = self.scope_mut(scope);
        running.round += 1;
        running.aim = None;
    }
}
