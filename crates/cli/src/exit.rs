//! The exit codes of commands. Scripts rely on them, and `docs/cli.md` documents them. A command that waits for several
//! tasks exits with the code of the worst end (`commands/wait_task.rs`).

use std::process::ExitCode;

use rework_core::task::state::State;

/// The result of a command, with its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Done = 0,
    /// The command failed.
    Error = 1,
    /// The arguments were invalid.
    Usage = 2,
    /// The command waited for a task, and the task failed.
    TaskFailed = 3,
    /// The command waited for a task, and the task was aborted.
    TaskAborted = 4,
    /// The command waited for a task, and the task was lost.
    TaskLost = 5,
    /// The command waited, and `--timeout` elapsed first. `timeout(1)` uses the same code.
    TimedOut = 124,
    /// Ctrl-C interrupted the command. Shells use 128 + the number of the signal (SIGINT is 2).
    Interrupted = 130,
}

impl Exit {
    /// Returns the exit code for the state of a task. `None` if the task has not ended.
    pub fn of_state(state: State) -> Option<Exit> {
        match state {
            State::Done => Some(Exit::Done),
            State::Failed => Some(Exit::TaskFailed),
            State::Aborted => Some(Exit::TaskAborted),
            State::Lost => Some(Exit::TaskLost),
            _ => None,
        }
    }

    /// Returns the number that the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
