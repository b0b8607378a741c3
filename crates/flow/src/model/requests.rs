//! The rules of what people request: that a flow is aborted or retried. And of stops, which nobody undoes.

use super::{Aim, Model, Phase, Progress, RunningStep, StepState, Work};

impl Model<'_> {
    /// Aborts the flow. A flow that has stopped to execute and to undo ends without further reverts.
    pub(super) fn abort(&mut self, revert: bool) {
        if self.phase.is_end() {
            return;
        }
        self.is_aborting = true;
        match self.phase {
            Phase::Executing if revert => {
                self.undo_scope(0, Aim::Revert);
                self.settle(Vec::new());
            }
            Phase::Reverting if revert => {}
            Phase::Stopping => self.end_waiting_tasks(),
            _ => {
                self.stop();
                self.end_waiting_tasks();
            }
        }
    }

    /// Stops the flow: no step starts, and nothing is undone any more. What runs is let finish.
    pub(super) fn stop(&mut self) {
        for scope in &mut self.scopes {
            scope.aim = None;
        }
        self.tasks.retain(|work, _| !matches!(work, Work::Decide(_)));
        self.withdraw(self.numbers(), StepState::Pending);
        self.phase = Phase::Stopping;
        self.end_if_stopped();
    }

    /// Ends the tasks that no worker has, of a flow that stops.
    fn end_waiting_tasks(&mut self) {
        let idle = |progress| progress != Progress::Running;
        let waiting: Vec<Work> = self
            .tasks
            .iter()
            .filter(|(_, task)| idle(task.progress))
            .map(|(work, _)| *work)
            .collect();
        for work in waiting {
            if self.locked.contains(&work) {
                self.missed = true;
                continue;
            }
            self.tasks.remove(&work);
            match work {
                Work::Execute(number) => self.step_mut(number).state = StepState::Failed,
                Work::Revert(number) => self.end_revert(number, false),
                Work::Decide(_) => {}
            }
        }
        self.end_if_stopped();
    }

    /// Ends a flow that stops, if none of its tasks is left.
    pub(super) fn end_if_stopped(&mut self) {
        if self.tasks.is_empty() {
            self.phase = Phase::Stopped;
            self.end_all();
        }
    }

    /// Repeats what locks have prevented. A step that should have been withdrawn before counts as skipped.
    pub(super) fn repeat_missed(&mut self) {
        if !std::mem::take(&mut self.missed) {
            return;
        }
        if self.phase == Phase::Stopping {
            if self.is_aborting {
                self.end_waiting_tasks();
            } else {
                self.withdraw(self.numbers(), StepState::Pending);
                self.end_if_stopped();
            }
            return;
        }
        let undone: Vec<i32> =
            self.numbers().filter(|&number| self.undone_scope(number).is_some()).collect();
        self.withdraw(undone, StepState::Skipped);
        self.settle(Vec::new());
    }

    /// Retries the flow.
    pub(super) fn retry(&mut self, reverted: Option<i32>) {
        match self.phase {
            Phase::RevertFailed => self.retry_reverts(reverted),
            Phase::Stopped => self.resume(),
            _ => {}
        }
    }

    /// Lets the reverts that failed be tried again, or lets one step count as reverted.
    fn retry_reverts(&mut self, reverted: Option<i32>) {
        for number in self.numbers() {
            let step = self.step_mut(number);
            if step.state != StepState::RevertFailed {
                continue;
            }
            match reverted {
                Some(one) if one == number => step.state = StepState::Reverted,
                Some(_) => {}
                None if step.output.is_some() => step.state = StepState::Done,
                None => step.state = StepState::Failed,
            }
        }
        let is_failed = |step: &RunningStep| step.state == StepState::RevertFailed;
        if !self.steps.iter().any(is_failed) {
            let is_whole = self.scopes[0].aim == Some(Aim::Revert);
            self.phase = if is_whole { Phase::Reverting } else { Phase::Executing };
        }
        self.settle(Vec::new());
    }

    /// Lets a flow that has stopped go on: steps that are not over start again.
    fn resume(&mut self) {
        for number in self.numbers() {
            if !self.is_over(number) {
                *self.step_mut(number) = RunningStep::default();
            }
        }
        self.phase = Phase::Executing;
        self.is_aborting = false;
        self.failures.clear();
        self.start_first();
    }
}
