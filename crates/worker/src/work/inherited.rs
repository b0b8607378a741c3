//! The descriptors that a worker inherits from its monitor.

use std::{fs::File, os::fd::AsFd};

use rework_wire::{frame_socket::FrameSocket, worker::STARTED_RUNS_FD};

/// Returns the worker's end of the control socket, which its monitor passes as standard input.
pub(super) fn control_socket() -> std::io::Result<FrameSocket> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned()?;
    FrameSocket::new(fd.into())
}

/// Returns the shared memory of started runs, which the monitor passes as descriptor [`STARTED_RUNS_FD`]. It is opened
/// again by its path in `/proc`, because making a `File` from a bare number would need `unsafe`.
pub(super) fn inherited_started_runs() -> std::io::Result<File> {
    let path = format!("/proc/self/fd/{STARTED_RUNS_FD}");
    File::options().read(true).write(true).open(&path).map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot open `{path}`: {error}"))
    })
}
