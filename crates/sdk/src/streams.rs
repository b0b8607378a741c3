//! Where one run ends and the next begins, for the worker that reads what they print, and for the
//! processes that they start.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rework_wire::runner::mark_bytes;

/// Writes the mark of a run on both streams. What the run printed was flushed before.
pub(crate) fn part(mark: &str) {
    let mark = mark_bytes(mark);
    // A program that closed a stream, or put a file there, has no part in the log.
    let _ = nix::unistd::write(io::stdout().as_fd(), &mark);
    let _ = nix::unistd::write(io::stderr().as_fd(), &mark);
}

/// Whether a run has left a process that it started, alive or not waited for: the worker is to clear
/// it away before the next run.
pub(crate) fn has_children() -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::All, look), Err(Errno::ECHILD))
}
