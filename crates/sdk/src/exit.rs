//! Ends the process without the consent of its operation, and the exit codes for that.

use std::process;

/// Exit code of a program that was called with wrong arguments or in a wrong environment.
pub(crate) const USAGE: u8 = 2;

/// Exit code of a process whose run was aborted: 128 + SIGINT, as shells report it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why the process ends at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// The worker's end of the socket is closed, so nobody would record the result of a run.
    WorkerGone,
    /// The run was aborted, and its operation does not check for aborts.
    Aborted,
    /// The worker sent something that this version of the runner protocol does not allow.
    ProtocolError,
}

/// Ends the process, whatever the operation is doing.
#[expect(clippy::exit, reason = "nothing else ends an operation that does not check for aborts")]
pub(crate) fn now(reason: ExitReason) -> ! {
    process::exit(match reason {
        ExitReason::WorkerGone => 0,
        ExitReason::ProtocolError => i32::from(USAGE),
        ExitReason::Aborted => i32::from(INTERRUPTED),
    })
}
