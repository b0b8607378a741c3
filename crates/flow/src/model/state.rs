//! The words of a [`Model`](super::Model): its events, and the states of steps, scopes and tasks.

use serde_json::Value;

/// The purpose of a task of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// It executes the step with this number. That of an entry gate asks the controller whether its scope may start.
    Execute(i32),
    /// It reverts the step with this number.
    Revert(i32),
    /// It decides after a failure in the scope with this number.
    Decide(i32),
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It is done, and has this output.
    Done(Value),
    /// It is not done, for this reason.
    Failed(String),
    /// The task failed before its code started, for this reason. For example, its input was invalid.
    Refused(String),
}

/// Something that happens to a flow. Each event is one transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A worker has claimed a task.
    Claimed(Work),
    /// A run has ended, and its task is queued again.
    Requeued(Work),
    /// Tasks have ended. Those that the flow does not wait for count for nothing.
    Ended(Vec<(Work, End)>),
    /// Somebody has aborted the flow.
    Aborted {
        /// Whether its steps are to be reverted.
        revert: bool,
    },
    /// Somebody has retried a flow that waits because a revert has failed, or that has stopped.
    Retried {
        /// The step that somebody has reverted by hand. `None`: all reverts that failed are tried again.
        reverted: Option<i32>,
    },
    /// Another transaction has locked a task.
    Locked(Work),
    /// The lock of another transaction has ended.
    Unlocked(Work),
    /// A monitor repeats what locks have prevented.
    Polled,
}

/// The phase of a flow: its present activity, or the way it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its steps are executed.
    Executing,
    /// All its steps are being undone.
    Reverting,
    /// A step could not be undone. Other steps go on.
    RevertFailed,
    /// It ends when its open tasks have ended.
    Stopping,
    /// All steps are over.
    Done,
    /// All steps were undone.
    Reverted,
    /// It has ended, and not all steps are over or undone.
    Stopped,
}

impl Phase {
    /// Returns the name in the database.
    pub fn name(self) -> &'static str {
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

/// The state of a step or gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepState {
    /// It has not started in this round.
    #[default]
    Pending,
    /// Its task has not ended.
    Started,
    /// It was executed.
    Done,
    /// Its task has ended without success.
    Failed,
    /// It was not executed, because of a condition.
    Skipped,
    /// The task that reverts it has not ended.
    Reverting,
    /// It was undone.
    Reverted,
    /// The task that reverts it has ended without success.
    RevertFailed,
}

impl StepState {
    /// Returns the name in the database.
    pub fn name(self) -> &'static str {
        match self {
            StepState::Pending => "pending",
            StepState::Started => "started",
            StepState::Done => "done",
            StepState::Failed => "failed",
            StepState::Skipped => "skipped",
            StepState::Reverting => "reverting",
            StepState::Reverted => "reverted",
            StepState::RevertFailed => "revert_failed",
        }
    }
}

/// A step or gate of a running flow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunningStep {
    /// The state.
    pub state: StepState,
    /// The input of the task that executes it.
    pub input: Value,
    /// The output of that task. `None` if it is not done.
    pub output: Option<Value>,
    /// Whether the task that executes the step failed before its code started, so that there is nothing to undo.
    pub was_refused: bool,
    /// Whether it was skipped because its own condition is false, so that others may be skipped with it.
    pub skips_others: bool,
}

/// A scope of a running flow.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningScope {
    /// The number of the round, from 1.
    pub round: u32,
    /// The value of the controller in this round. `None` if it has given none.
    pub value: Option<Value>,
    /// The values of the rounds, of a controller `for_each_of`.
    pub list: Option<Vec<Value>>,
    /// The earlier rounds, of a controller `operation`.
    pub history: Vec<Value>,
    /// Why everything in it is being undone. `None` if it is not.
    pub aim: Option<Aim>,
}

impl Default for RunningScope {
    fn default() -> RunningScope {
        RunningScope { round: 1, value: None, list: None, history: Vec::new(), aim: None }
    }
}

/// Why everything in a scope is being undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Another round follows.
    Retry,
    /// The controller has yet to say whether another round follows.
    Answer,
    /// The flow ends.
    Revert,
}

impl Aim {
    /// Returns the name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Aim::Retry => "retry",
            Aim::Answer => "answer",
            Aim::Revert => "revert",
        }
    }
}

/// A task that was made and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTask {
    /// Its input.
    pub input: Value,
    /// Whether a worker has claimed it.
    pub progress: Progress,
}

/// The state of a task that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No worker has ever claimed it.
    New,
    /// A worker has claimed it.
    Running,
    /// A worker had claimed it, and it is queued again.
    Requeued,
}
