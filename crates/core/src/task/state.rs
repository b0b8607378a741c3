//! The nine states of a task and the transitions between them. The schema lists the states too
//! (`migrations/V07__task.sql`); a test below compares the two lists.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The task must not start yet: it was scheduled for later, or it waits for its next attempt.
    Delayed,
    /// Other tasks must end before this one becomes ready.
    Waiting,
    /// The task is ready. Any worker that can run it may claim it.
    Queued,
    /// A worker has claimed the task.
    Running,
    /// An abort was requested, and processes of the task may still be alive.
    Aborting,
    /// The task succeeded.
    Done,
    /// The task failed, and no attempt remains.
    Failed,
    /// The task was aborted, and none of its processes is left.
    Aborted,
    /// A run of the task was lost with its worker or host, and the task is not run again.
    Lost,
}

impl State {
    /// All states, in the order in which a task passes through them.
    pub const ALL: [State; 9] = [
        State::Delayed,
        State::Waiting,
        State::Queued,
        State::Running,
        State::Aborting,
        State::Done,
        State::Failed,
        State::Aborted,
        State::Lost,
    ];

    /// Returns the name that the schema stores for this state.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Delayed => "delayed",
            State::Waiting => "waiting",
            State::Queued => "queued",
            State::Running => "running",
            State::Aborting => "aborting",
            State::Done => "done",
            State::Failed => "failed",
            State::Aborted => "aborted",
            State::Lost => "lost",
        }
    }

    /// Returns whether the task has ended. Only `rework retry-task` starts it again.
    pub fn is_end(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Aborted | State::Lost)
    }

    /// Returns whether a worker has claimed the task and has not recorded its end yet.
    pub fn is_claimed(self) -> bool {
        matches!(self, State::Running | State::Aborting)
    }

    /// Returns whether a task may change from this state to `next`.
    pub fn may_become(self, next: State) -> bool {
        match self {
            State::Delayed => matches!(next, State::Queued | State::Aborted),
            State::Waiting => matches!(next, State::Delayed | State::Queued | State::Aborted),
            // A queued task becomes delayed if a request with its unique key replaces it.
            State::Queued => matches!(next, State::Delayed | State::Running | State::Aborted),
            State::Running => !matches!(next, State::Waiting | State::Running),
            State::Aborting => next == State::Aborted,
            State::Failed | State::Aborted | State::Lost => next == State::Queued,
            State::Done => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The error for a text that does not name a state.
#[derive(Debug, thiserror::Error)]
#[error("not a state of a task")]
pub struct UnknownState;

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<State, UnknownState> {
        let found = State::ALL.into_iter().find(|state| state.as_str() == name);
        found.ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_lists_the_same_states() {
        let schema = include_str!("../../../../migrations/V07__task.sql");
        let list = schema.split_once("check (value in").unwrap().1.split_once(");").unwrap().0;
        let mut stored: Vec<&str> = list.split('\'').skip(1).step_by(2).collect();
        let mut known = State::ALL.map(State::as_str);
        stored.sort_unstable();
        known.sort_unstable();
        assert_eq!(stored, known);
    }

    #[test]
    fn an_ended_task_can_only_be_queued_again() {
        for state in State::ALL.into_iter().filter(|state| state.is_end()) {
            for next in State::ALL {
                let may = next == State::Queued && state != State::Done;
                assert_eq!(state.may_become(next), may, "{state} to {next}");
            }
        }
    }
}
