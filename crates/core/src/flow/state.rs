//! The phases of a flow and the states of its steps, as the schema stores them. `migrations/V24__flow.sql` lists both.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The phase of a flow: its present activity, or the way it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Steps run. A scope may be reverted in order to try it again.
    Executing,
    /// All steps are reverted, because one failed or an abort was requested.
    Reverting,
    /// The revert of a step failed. The flow waits for somebody who retries or aborts it.
    RevertFailed,
    /// No further step starts. The flow ends when those that run have ended.
    Stopping,
    /// All steps are over. The flow has ended.
    Done,
    /// All steps are reverted. The flow has ended.
    Reverted,
    /// The flow has ended, and its steps stay as they are.
    Stopped,
}

impl Phase {
    /// All phases, in the order in which a flow passes through them.
    pub const ALL: [Phase; 7] = [
        Phase::Executing,
        Phase::Reverting,
        Phase::RevertFailed,
        Phase::Stopping,
        Phase::Done,
        Phase::Reverted,
        Phase::Stopped,
    ];

    /// Returns the name that the schema stores for this phase.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Executing => "executing",
            Phase::Reverting => "reverting",
            Phase::RevertFailed => "revert_failed",
            Phase::Stopping => "stopping",
            Phase::Done => "done",
            Phase::Reverted => "reverted",
            Phase::Stopped => "stopped",
        }
    }

    /// Returns whether the flow has ended.
    pub fn is_end(self) -> bool {
        matches!(self, Phase::Done | Phase::Reverted | Phase::Stopped)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state of a step.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// The step waits for the steps before it.
    #[default]
    Pending,
    /// The step has a task, which has not ended.
    Started,
    /// The task of the step is done.
    Done,
    /// The task of the step failed, was aborted or was lost.
    Failed,
    /// The step does not run, because its condition, or that of a step before it, is false.
    Skipped,
    /// The step has a task that reverts it, which has not ended.
    Reverting,
    /// The step was reverted, or there was nothing to revert.
    Reverted,
    /// The task that reverts the step failed.
    RevertFailed,
    /// In an earlier round: the task of the step was taken back before it ran.
    Withdrawn,
    /// In an earlier round: the task is one of a controller that decided, and the name is that of its pattern.
    Decided,
}

impl StepState {
    /// All states, in the order in which a step passes through them.
    pub const ALL: [StepState; 10] = [
        StepState::Pending,
        StepState::Started,
        StepState::Done,
        StepState::Failed,
        StepState::Skipped,
        StepState::Reverting,
        StepState::Reverted,
        StepState::RevertFailed,
        StepState::Withdrawn,
        StepState::Decided,
    ];

    /// Returns the name that the schema stores for this state.
    pub fn as_str(self) -> &'static str {
        match self {
            StepState::Pending => "pending",
            StepState::Started => "started",
            StepState::Done => "done",
            StepState::Failed => "failed",
            StepState::Skipped => "skipped",
            StepState::Reverting => "reverting",
            StepState::Reverted => "reverted",
            StepState::RevertFailed => "revert_failed",
            StepState::Withdrawn => "withdrawn",
            StepState::Decided => "decided",
        }
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The kind of a row of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A step that runs an operation.
    #[default]
    Task,
    /// The gate at the start of a scope, which runs nothing.
    Enter,
    /// The gate at the end of a scope, which runs nothing.
    Exit,
}

/// The error for a text that names neither a phase nor a state nor a kind.
#[derive(Debug, thiserror::Error)]
#[error("not a word of a flow")]
pub struct UnknownFlowWord;

impl FromStr for Phase {
    type Err = UnknownFlowWord;

    fn from_str(name: &str) -> Result<Phase, UnknownFlowWord> {
        Phase::ALL.into_iter().find(|phase| phase.as_str() == name).ok_or(UnknownFlowWord)
    }
}

impl FromStr for StepState {
    type Err = UnknownFlowWord;

    fn from_str(name: &str) -> Result<StepState, UnknownFlowWord> {
        StepState::ALL.into_iter().find(|state| state.as_str() == name).ok_or(UnknownFlowWord)
    }
}

impl FromStr for StepKind {
    type Err = UnknownFlowWord;

    fn from_str(name: &str) -> Result<StepKind, UnknownFlowWord> {
        match name {
            "task" => Ok(StepKind::Task),
            "enter" => Ok(StepKind::Enter),
            "exit" => Ok(StepKind::Exit),
            _ => Err(UnknownFlowWord),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back() {
        for phase in Phase::ALL {
            assert_eq!(phase.as_str().parse::<Phase>().ok(), Some(phase));
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
        }
        for state in StepState::ALL {
            assert_eq!(state.as_str().parse::<StepState>().ok(), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert!("queued".parse::<StepState>().is_err());
    }
}
