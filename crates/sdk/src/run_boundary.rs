//! Separates one run from the next in the same process: writes the boundary, bytes that separate
//! the output of two runs, to stdout and stderr, and checks that the run has left no child process
//! behind.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rework_wire::runner::boundary_bytes;

/// Writes the boundary of a run to stdout and stderr. What the run printed must be flushed before.
pub(crate) fn write_boundary(boundary: &str) {
    let bytes = boundary_bytes(boundary);
    // A program may have closed a stream or replaced it by a file. Then the worker does not read that stream.
    let _ = nix::unistd::write(io::stdout().as_fd(), &bytes);
    let _ = nix::unistd::write(io::stderr().as_fd(), &bytes);
}

/// Returns whether this process has a child process, running or not waited for. If so, the worker must clean up
/// before the next run starts.
pub(crate) fn has_children() -> bool {
    // WNOWAIT leaves the child for the operation to wait for, and WNOHANG returns at once.
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::All, options), Err(Errno::ECHILD))
}
