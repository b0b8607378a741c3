//! Exit codes: how a command tells a script what happened. They are part of the interface and
//! documented in `docs/cli.md`.

use std::process::ExitCode;

use rework_core::task::state::State;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to.
    Done = 0,
    /// It could not.
    Error = 1,
    /// It was typed wrongly.
    Usage = 2,
    /// The task waited for failed.
    TaskFailed = 3,
    /// The task waited for was aborted.
    TaskAborted = 4,
    /// The task waited for was lost.
    TaskLost = 5,
    /// The time to wait was over first.
    WaitedTooLong = 124,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The code for the end of a task; `None` while it has not ended.
    pub fn of_state(state: State) -> Option<Exit> {
        match state {
            State::Done => Some(Exit::Done),
            State::Failed => Some(Exit::TaskFailed),
            State::Aborted => Some(Exit::TaskAborted),
            State::Lost => Some(Exit::TaskLost),
            _ => None,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
