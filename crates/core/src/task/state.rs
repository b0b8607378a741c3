//! The eight states of a task and the moves between them, written once here and once in the
//! schema's check; a test compares the two.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not before a moment: scheduled for later, or between two attempts.
    Delayed,
    /// Ready: any worker that can run it may claim it.
    Queued,
    /// Claimed.
    Running,
    /// Asked to end; processes of it may still live.
    Aborting,
    /// It returned.
    Done,
    /// It failed, and no attempt remains.
    Failed,
    /// It was asked to end, and no process of it is left.
    Aborted,
    /// Nobody saw its end.
    Lost,
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [State; 8] = [
        State::Delayed,
        State::Queued,
        State::Running,
        State::Aborting,
        State::Done,
        State::Failed,
        State::Aborted,
        State::Lost,
    ];

    /// The word for it, as the schema stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Delayed => "delayed",
            State::Queued => "queued",
            State::Running => "running",
            State::Aborting => "aborting",
            State::Done => "done",
            State::Failed => "failed",
            State::Aborted => "aborted",
            State::Lost => "lost",
        }
    }

    /// Whether the task has ended: only `retry-task` leads back from here.
    pub fn is_end(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Aborted | State::Lost)
    }

    /// Whether a worker holds it.
    pub fn is_held(self) -> bool {
        matches!(self, State::Running | State::Aborting)
    }

    /// Whether a task may go from here to there.
    pub fn may_become(self, next: State) -> bool {
        match self {
            State::Delayed => matches!(next, State::Queued | State::Aborted),
            State::Queued => matches!(next, State::Running | State::Aborted),
            State::Running => next != State::Running,
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

/// A word that is no state.
#[derive(Debug, thiserror::Error)]
#[error("a task has no such state")]
pub struct UnknownState;

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<State, UnknownState> {
        let found = State::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_same_states() {
        let schema = include_str!("../../../../migrations/V07__task.sql");
        let words = schema.split_once("check (value in").unwrap().1.split_once(");").unwrap().0;
        let mut stored: Vec<&str> = words.split('\'').skip(1).step_by(2).collect();
        let mut known = State::ALL.map(State::as_str);
        stored.sort_unstable();
        known.sort_unstable();
        assert_eq!(stored, known);
    }

    #[test]
    fn what_has_ended_only_goes_back_to_the_queue() {
        for state in State::ALL.into_iter().filter(|state| state.is_end()) {
            for next in State::ALL {
                let may = next == State::Queued && state != State::Done;
                assert_eq!(state.may_become(next), may, "{state} to {next}");
            }
        }
    }
}
