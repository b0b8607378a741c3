//! The rules by which steps start and are skipped.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::{Model, OpenTask, Progress, StepState, Work};
use crate::description::{ControllerKind, Depth, OnFailure};
use crate::plan::{Arguments, Condition, StepKind};

impl Model<'_> {
    /// Returns whether the steps after this one need not wait for it any more.
    pub(super) fn is_over(&self, number: i32) -> bool {
        match self.state(number) {
            StepState::Done | StepState::Skipped => true,
            StepState::Failed => self.planned(number).on_failure == OnFailure::Continue,
            _ => false,
        }
    }

    /// Returns whether a step may start: all steps before it are over, and no scope around it is being undone.
    fn may_start(&self, number: i32) -> bool {
        self.state(number) == StepState::Pending
            && self.undone_scope(number).is_none()
            && self.planned(number).before.iter().all(|&before| self.is_over(before))
    }

    /// Starts all steps that may start, until there are none. Returns whether there was one, and those that have failed
    /// at once and whose failures are to be handled. What follows after a failure at once does not start yet.
    pub(super) fn start_all(&mut self) -> (bool, Vec<i32>) {
        let mut failed = Vec::new();
        let mut has_started = false;
        loop {
            let follows_failure =
                |number: &i32| self.planned(*number).before.iter().any(|n| failed.contains(n));
            let mut ready = self.numbers().filter(|&number| self.may_start(number));
            if ready.all(|number| follows_failure(&number)) {
                break;
            }
            has_started = true;
            failed.extend(self.start_ready(&failed));
        }
        failed.retain(|&number| self.planned(number).on_failure != OnFailure::Continue);
        (has_started, failed)
    }

    /// Starts the first steps of a flow, or of one that goes on, and handles those that have failed at once.
    pub(super) fn start_first(&mut self) {
        let mut failed = self.start_ready(&[]);
        failed.retain(|&number| self.planned(number).on_failure != OnFailure::Continue);
        self.settle(failed);
    }

    /// Starts all steps that may start at this moment, but none that follows one of `failed`. Returns those that have
    /// failed at once.
    fn start_ready(&mut self, failed: &[i32]) -> Vec<i32> {
        let follows_failure =
            |number: i32| self.planned(number).before.iter().any(|n| failed.contains(n));
        let ready: Vec<i32> = self
            .numbers()
            .filter(|&number| self.may_start(number) && !follows_failure(number))
            .collect();
        for &number in &ready {
            self.start(number);
        }
        ready.into_iter().filter(|&number| self.state(number) == StepState::Failed).collect()
    }

    fn start(&mut self, number: i32) {
        let step = self.planned(number);
        let is_false = |condition: &Condition| {
            !self.values(|values| values.is_met(condition)).unwrap_or_default()
        };
        if self.is_skipped_with_another(number) {
            self.step_mut(number).state = StepState::Skipped;
        } else if step.condition.as_ref().is_some_and(is_false) {
            self.step_mut(number).state = StepState::Skipped;
            self.step_mut(number).skips_others = true;
        } else {
            match step.kind {
                StepKind::Exit => self.step_mut(number).state = StepState::Done,
                StepKind::Enter => self.enter(number, step.scope),
                StepKind::Task => {
                    let input = self.resolve(step.args.as_ref());
                    self.execute(number, step.operation, input);
                }
            }
        }
    }

    /// Makes the task that executes a step. The step has failed at once if no task of its operation can be made.
    fn execute(&mut self, number: i32, operation: Option<i64>, input: Value) {
        if let Some(reason) = operation.and_then(|id| self.refusals.get(&id)) {
            self.fail(number, reason);
            self.step_mut(number).was_refused = true;
            return;
        }
        self.step_mut(number).state = StepState::Started;
        self.step_mut(number).input = input.clone();
        self.tasks.insert(Work::Execute(number), OpenTask { input, progress: Progress::New });
    }

    /// Lets a scope be entered. Its controller gives a value for this round.
    fn enter(&mut self, gate: i32, scope: i32) {
        let planned = self.planned_scope(scope);
        let running = &self.scopes[scope as usize];
        let (round, position) = (running.round, running.round as usize - 1);
        let list = match planned.controller {
            Some(ControllerKind::Operation) if running.value.is_none() => {
                let input = json!({"history": running.history});
                self.execute(gate, planned.operation, input);
                return;
            }
            Some(ControllerKind::Times) => {
                self.scope_mut(scope).value = Some(json!(round));
                None
            }
            Some(ControllerKind::ForEachOf) if round == 1 => {
                let sources = planned.values_from.clone().unwrap_or_default();
                self.values(|values| values.first(&sources)).ok().flatten()
            }
            Some(ControllerKind::ForEach | ControllerKind::ForEachOf) => {
                self.list_of(scope).map(Value::Array)
            }
            _ => None,
        };
        let needs_list =
            matches!(planned.controller, Some(ControllerKind::ForEach | ControllerKind::ForEachOf));
        match list {
            Some(Value::Array(list)) if !list.is_empty() => {
                self.scope_mut(scope).value = list.get(position).cloned();
                self.scope_mut(scope).list = Some(list);
            }
            Some(Value::Array(_)) => {
                self.fail(gate, &format!("the list of values of `{}` is empty", planned.name));
                return;
            }
            _ if needs_list => {
                self.fail(gate, &format!("the values of `{}` are not a list", planned.name));
                return;
            }
            _ => {}
        }
        self.step_mut(gate).state = StepState::Done;
    }

    /// Returns the values of the rounds of a scope. `None` if its controller has no list.
    pub(super) fn list_of(&self, scope: i32) -> Option<Vec<Value>> {
        let planned = self.planned_scope(scope).values.as_ref();
        let planned = planned.map(|all| all.iter().map(|one| one.value().unwrap_or_default()));
        planned.map(Iterator::collect).or_else(|| self.scopes[scope as usize].list.clone())
    }

    /// Returns whether another step was skipped because of its condition, and this one is skipped with it.
    fn is_skipped_with_another(&self, number: i32) -> bool {
        self.numbers().any(|other| {
            let depth = self.planned(other).condition.as_ref().map(|condition| condition.depth);
            self.steps[other as usize].skips_others
                && depth.is_some_and(|depth| self.is_skipped_with(number, other, depth))
        })
    }

    /// Returns whether a step is skipped together with `origin`. An entry gate stands for its whole scope.
    fn is_skipped_with(&self, number: i32, origin: i32, depth: Depth) -> bool {
        let item = self.item(origin);
        if item.contains(&number) {
            return number != origin;
        }
        let last = *item.end();
        match depth {
            Depth::Atom => false,
            Depth::Neighbors => {
                self.planned(last).after.iter().any(|&next| self.item(next).contains(&number))
            }
            Depth::All => self.follows(number, last),
            Depth::Flow => {
                let scope = self.pattern_of(origin);
                let planned = self.planned_scope(scope);
                let step = self.planned(number);
                let is_end = step.kind == StepKind::Exit && step.scope == scope;
                (planned.first..=planned.last).contains(&number)
                    && !is_end
                    && self.follows(number, last)
            }
        }
    }

    /// Returns the numbers of the item that a step is, or that an entry gate starts.
    fn item(&self, number: i32) -> RangeInclusive<i32> {
        let step = self.planned(number);
        match step.kind {
            StepKind::Enter => number..=self.planned_scope(step.scope).last,
            _ => number..=number,
        }
    }

    /// Returns the pattern of which a step, or the scope of an entry gate, is an item.
    fn pattern_of(&self, number: i32) -> i32 {
        let step = self.planned(number);
        match step.kind {
            StepKind::Enter => self.planned_scope(step.scope).outer.unwrap_or_default(),
            _ => step.scope,
        }
    }

    /// Returns whether a step follows another one, directly or indirectly.
    fn follows(&self, number: i32, earlier: i32) -> bool {
        self.planned(earlier)
            .after
            .iter()
            .any(|&next| next == number || next < number && self.follows(number, next))
    }

    /// Returns the value that these arguments describe.
    pub(super) fn resolve(&self, arguments: Option<&Arguments>) -> Value {
        self.values(|values| values.resolve(arguments)).unwrap_or_default()
    }
}
