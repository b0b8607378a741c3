//! The rules of the ends of tasks.

use serde_json::Value;

use super::{End, Model, Phase, StepState, Work};
use crate::description::OnFailure;
use crate::plan::StepKind;

/// At most so many failures are kept.
const KEPT_FAILURES: usize = 20;

impl Model<'_> {
    /// Records the ends of tasks. They are in one transaction, so all of them count before anything follows.
    pub(super) fn end(&mut self, ends: &[(Work, End)]) {
        if self.phase.is_end() {
            return;
        }
        let mut ends: Vec<&(Work, End)> = ends.iter().collect();
        ends.sort_by_key(|(work, _)| *work);
        ends.retain(|(work, _)| self.tasks.remove(work).is_some());
        let mut failed = Vec::new();
        for (work, end) in &ends {
            match work {
                Work::Execute(number) => {
                    if self.end_execution(*number, end) {
                        failed.push(*number);
                    }
                }
                Work::Revert(number) => self.end_revert(*number, matches!(end, End::Done(_))),
                Work::Decide(_) => {}
            }
        }
        if self.phase == Phase::Stopping {
            self.end_if_stopped();
            return;
        }
        if failed.iter().any(|&number| self.stops(number)) {
            self.stop();
            return;
        }
        // Of several answers, that of the last scope comes first.
        for (work, end) in ends.into_iter().rev() {
            if let Work::Decide(scope) = work {
                self.take_answer(*scope, end);
            }
        }
        self.settle(failed);
    }

    /// Records the end of a task that has executed a step. Returns whether the failure of the step is to be handled.
    fn end_execution(&mut self, number: i32, end: &End) -> bool {
        let step = self.planned(number);
        let is_gate = step.kind == StepKind::Enter;
        let pattern = &self.planned_scope(step.scope).name;
        let reason = match end {
            End::Failed(reason) | End::Refused(reason) if is_gate => {
                format!("the controller of `{pattern}` failed: {reason}")
            }
            End::Failed(reason) | End::Refused(reason) => reason.clone(),
            End::Done(output) if !is_gate => {
                self.step_mut(number).state = StepState::Done;
                self.step_mut(number).output = Some(output.clone());
                return false;
            }
            End::Done(output) if decision(output) == Some("retry") => {
                self.step_mut(number).state = StepState::Done;
                self.scope_mut(step.scope).value = output.get("value").cloned();
                return false;
            }
            End::Done(_) => format!("the controller of `{pattern}` does not let it start"),
        };
        self.fail(number, &reason);
        self.step_mut(number).was_refused = matches!(end, End::Refused(_));
        self.planned(number).on_failure != OnFailure::Continue
    }

    /// Records the end of a task that has reverted a step. If it failed, the flow waits for somebody.
    pub(super) fn end_revert(&mut self, number: i32, is_done: bool) {
        if is_done {
            self.step_mut(number).state = StepState::Reverted;
            return;
        }
        self.step_mut(number).state = StepState::RevertFailed;
        if self.phase != Phase::Stopping {
            self.phase = Phase::RevertFailed;
        }
    }

    /// Records that a step has failed.
    pub(super) fn fail(&mut self, number: i32, reason: &str) {
        let name = self.planned(number).name.clone();
        self.step_mut(number).state = StepState::Failed;
        self.failures.push((name, reason.to_owned()));
        // Those in spite of which the flow continues come last.
        let continues = |name: &str| {
            let mut steps = self.plan.steps.iter();
            steps.any(|step| step.name == name && step.on_failure == OnFailure::Continue)
        };
        self.failures.sort_by_key(|(name, _)| continues(name));
        self.failures.truncate(KEPT_FAILURES);
    }
}

/// Returns what the output of a controller says: `retry`, `revert` or `revert_all`. `None` if it says nothing.
pub(super) fn decision(output: &Value) -> Option<&str> {
    output.get("decision")?.as_str().filter(|text| ["retry", "revert", "revert_all"].contains(text))
}
