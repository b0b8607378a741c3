//! The ends of a process that its operation has no say in, and what its exit code says of them.

use std::process;

/// Exit code of a program that was started in a way that cannot work.
pub(crate) const USAGE: u8 = 2;

/// Exit code of a run that ended because somebody asked for it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why the process ends at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The worker's end of the socket is closed: nobody would record what happens from here on.
    WorkerGone,
    /// The run was aborted and its operation does not listen.
    Aborted,
    /// The worker speaks no protocol that we know.
    NotOurs,
}

/// Ends the process, and with it whatever the operation is doing.
#[expect(clippy::exit, reason = "nothing else ends an operation that does not listen")]
pub(crate) fn now(why: Leave) -> ! {
    process::exit(match why {
        Leave::WorkerGone => 0,
        Leave::NotOurs => i32::from(USAGE),
        Leave::Aborted => i32::from(INTERRUPTED),
    })
}
