//! [`Model`]: what the rules of flows make of the history of a flow.
//!
//! `docs/flows.md` explains the rules to users, and the functions in `migrations/V24__flow.sql` and the files after it
//! follow them. They count, so that the end of one step costs the same in a large flow. The model counts nothing: after
//! each event it applies the definitions to all steps, until nothing changes any more. `tests/flow_engine.rs` compares
//! both after each transaction.
//!
//! `model/ends.rs` has the rules of the ends of tasks, `model/forward.rs` those by which steps start and are skipped,
//! `model/backward.rs` those by which they are undone, `model/requests.rs` those of aborts and retries, and
//! `model/state.rs` the words.

mod state;
mod ends;
mod forward;
mod backward;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub use self::state::{Aim, End, Event, OpenTask, Phase, Progress, RunningScope, RunningStep};
pub use self::state::{StepState, Work};
use crate::description::OnFailure;
use crate::plan::{Plan, PlannedScope, PlannedStep};
use crate::values::Values;

/// A flow after some events.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    plan: &'a Plan,
    input: &'a Value,
    refusals: &'a BTreeMap<i64, String>,
    phase: Phase,
    /// Whether somebody has aborted the flow.
    is_aborting: bool,
    steps: Vec<RunningStep>,
    scopes: Vec<RunningScope>,
    tasks: BTreeMap<Work, OpenTask>,
    /// The names of steps that have failed, with the reasons.
    failures: Vec<(String, String)>,
    /// Tasks that another transaction has locked.
    locked: BTreeSet<Work>,
    /// Whether a lock has prevented that a task was withdrawn or stopped.
    missed: bool,
}

impl<'a> Model<'a> {
    /// Starts a flow with this input. `refusals` has the operations of which no task can be made, with the reasons.
    pub fn new(plan: &'a Plan, input: &'a Value, refusals: &'a BTreeMap<i64, String>) -> Model<'a> {
        let mut model = Model {
            plan,
            input,
            refusals,
            phase: Phase::Executing,
            is_aborting: false,
            steps: vec![RunningStep::default(); plan.steps.len()],
            scopes: vec![RunningScope::default(); plan.scopes.len()],
            tasks: BTreeMap::new(),
            failures: Vec::new(),
            locked: BTreeSet::new(),
            missed: false,
        };
        model.start_first();
        model
    }

    /// Returns the flow after all these events.
    pub fn fold<'e>(
        plan: &'a Plan,
        input: &'a Value,
        refusals: &'a BTreeMap<i64, String>,
        history: impl IntoIterator<Item = &'e Event>,
    ) -> Model<'a> {
        let mut model = Model::new(plan, input, refusals);
        for event in history {
            model.apply(event);
        }
        model
    }

    /// Lets one event happen. An event that cannot happen changes nothing.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Claimed(work) => self.set_progress(*work, Progress::Running),
            Event::Requeued(work) => self.set_progress(*work, Progress::Requeued),
            Event::Locked(work) => {
                self.locked.insert(*work);
            }
            Event::Unlocked(work) => {
                self.locked.remove(work);
            }
            Event::Ended(ends) => self.end(ends),
            Event::Aborted { revert } => self.abort(*revert),
            Event::Retried { reverted } => self.retry(*reverted),
            Event::Polled => self.repeat_missed(),
        }
    }

    /// Returns the phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the steps by their numbers.
    pub fn steps(&self) -> &[RunningStep] {
        &self.steps
    }

    /// Returns the scopes by their numbers.
    pub fn scopes(&self) -> &[RunningScope] {
        &self.scopes
    }

    /// Returns the tasks that were made and have not ended.
    pub fn tasks(&self) -> &BTreeMap<Work, OpenTask> {
        &self.tasks
    }

    /// Returns whether a lock has prevented something that a monitor has yet to repeat.
    pub fn has_missed(&self) -> bool {
        self.missed
    }

    /// Returns the steps that have failed, with the reasons, in the order of their failures.
    pub fn failures(&self) -> &[(String, String)] {
        &self.failures
    }

    /// Returns the state of the flow's own task.
    pub fn task_state(&self) -> &'static str {
        match (self.phase, self.is_aborting) {
            (Phase::Done, _) => "done",
            (Phase::Reverted | Phase::Stopped, true) => "aborted",
            (Phase::Reverted | Phase::Stopped, false) => "failed",
            (_, true) => "aborting",
            (_, false) => "waiting",
        }
    }

    /// Returns the output of the flow's task. `None` if it is not done, or if its plan says that it has none.
    pub fn output(&self) -> Option<Value> {
        let is_done = self.phase == Phase::Done && self.plan.returns.is_some();
        is_done.then(|| self.resolve(self.plan.returns.as_ref()))
    }

    /// Does everything that can be done now. `failed` are the steps whose failures were not handled yet.
    ///
    /// Failures come first: what is to be undone starts nothing. Of several failures, the one of the first step decides.
    fn settle(&mut self, mut failed: Vec<i32>) {
        loop {
            if failed.iter().any(|&number| self.stops(number)) {
                self.stop();
                return;
            }
            failed.sort_unstable();
            for number in failed {
                self.undo_after_failure(number);
            }
            self.undo_all();
            if self.is_all_undone(0) && self.scopes[0].aim == Some(Aim::Revert) {
                self.phase = Phase::Reverted;
                self.end_all();
                return;
            }
            let (has_started, failed_at_once) = self.start_all();
            failed = failed_at_once;
            if has_started {
                continue;
            }
            let Some(scope) = self.scope_to_retry() else { break };
            self.enter_again(scope);
        }
        if self.phase == Phase::Executing && self.numbers().all(|number| self.is_over(number)) {
            self.phase = Phase::Done;
            self.end_all();
        }
    }

    /// Returns whether the failure of a step stops the flow. It does not if the step is to be undone anyway.
    fn stops(&self, number: i32) -> bool {
        self.planned(number).on_failure == OnFailure::Stop && self.undone_scope(number).is_none()
    }

    /// Forgets what no end of a task can change any more.
    fn end_all(&mut self) {
        self.tasks.clear();
        self.missed = false;
    }

    /// Returns the failures as an object: the names of steps, each with its last reason.
    fn reasons(&self) -> Value {
        self.failures.iter().map(|(name, reason)| (name.clone(), json!(reason))).collect()
    }

    fn values<T>(&self, read: impl FnOnce(Values<'_>) -> T) -> T {
        read(Values {
            step: &|number| self.steps.get(number as usize)?.output.as_ref(),
            scope: &|number| self.scopes.get(number as usize)?.value.as_ref(),
            input: self.input,
        })
    }

    fn set_progress(&mut self, work: Work, progress: Progress) {
        if let Some(task) = self.tasks.get_mut(&work) {
            task.progress = progress;
        }
    }

    fn numbers(&self) -> impl DoubleEndedIterator<Item = i32> + use<> {
        0..self.steps.len() as i32
    }

    fn planned(&self, number: i32) -> &'a PlannedStep {
        &self.plan.steps[number as usize]
    }

    fn planned_scope(&self, number: i32) -> &'a PlannedScope {
        &self.plan.scopes[number as usize]
    }

    fn state(&self, number: i32) -> StepState {
        self.steps[number as usize].state
    }

    fn step_mut(&mut self, number: i32) -> &mut RunningStep {
        &mut self.steps[number as usize]
    }

    fn scope_mut(&mut self, number: i32) -> &mut RunningScope {
        &mut self.scopes[number as usize]
    }
}

#[cfg(test)]
mod tests;
