//! The file descriptors that a runner inherits from its worker: the socket, the started runs and the send buffer.
//! Environment variables hold their numbers.
//!
//! Neither the variables nor the descriptors are passed on to programs that an operation starts.
//! Such a program would keep the socket open. And if it is a runner itself, it would use the
//! descriptors as its own.

#![expect(
    unsafe_code,
    reason = "taking over a descriptor by its number, and removing variables from the environment"
)]

use std::fs::{self, File};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use rework_wire::runner::{SEND_BUFFER_FD_VAR, SOCKET_FD_VAR, STARTED_RUNS_FD_VAR};

/// The descriptors that this process has inherited from its worker.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// The socket on which frames travel.
    pub(crate) socket: UnixStream,
    /// The shared memory that records which runs have started. `None` if the worker does not provide it.
    pub(crate) started_runs: Option<File>,
    /// The shared memory for frames that are sent later. `None` if the worker does not provide it.
    pub(crate) send_buffer: Option<File>,
}

/// An environment variable does not hold the number of a descriptor that can be used.
#[derive(Debug, thiserror::Error)]
#[error("`{variable}={number}`: {number} is not the number of an open {kind} of this process")]
pub(crate) struct InheritError {
    variable: &'static str,
    number: String,
    /// The expected kind of descriptor: `socket` or `file`.
    kind: &'static str,
}

/// Takes over the inherited descriptors. `None` if no worker started this process, or at a second call.
pub(crate) fn take() -> Result<Option<Inherited>, InheritError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let Ok(socket) = env::var(SOCKET_FD_VAR) else { return Ok(None) };
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    let socket = UnixStream::from(take_fd(SOCKET_FD_VAR, socket, "socket")?);
    let started_runs = take_file(STARTED_RUNS_FD_VAR)?;
    let send_buffer = take_file(SEND_BUFFER_FD_VAR)?;
    remove_variables();
    Ok(Some(Inherited { socket, started_runs, send_buffer }))
}

/// Takes over the file whose descriptor a variable holds. `None` if the variable is not set.
fn take_file(variable: &'static str) -> Result<Option<File>, InheritError> {
    let number = env::var(variable).ok();
    number.map(|number| take_fd(variable, number, "file").map(File::from)).transpose()
}

fn take_fd(
    variable: &'static str,
    number: String,
    kind: &'static str,
) -> Result<OwnedFd, InheritError> {
    // 0, 1 and 2 are the standard streams, which belong to the operation.
    let open = number.parse().ok().filter(|fd| *fd > 2 && is_open(*fd, kind));
    let Some(fd) = open else { return Err(InheritError { variable, number, kind }) };
    // SAFETY: the descriptor is open. The worker opened it for this process to own. Only `take` takes it, and only
    // once.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    match set_close_on_exec(&owned) {
        Ok(()) => Ok(owned),
        Err(_) => Err(InheritError { variable, number, kind }),
    }
}

/// Returns whether a number is an open descriptor of this kind. It is looked up by its name in the file system,
/// because `OwnedFd` must not be made from a number that is not open.
fn is_open(fd: RawFd, kind: &str) -> bool {
    ["/proc/self/fd", "/dev/fd"].iter().any(|folder| {
        fs::metadata(format!("{folder}/{fd}")).is_ok_and(|file| match kind {
            "socket" => file.file_type().is_socket(),
            _ => file.is_file(),
        })
    })
}

/// Keeps a descriptor from programs that this process starts.
fn set_close_on_exec(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Removes the variables from the environment, if no other thread can be reading it at the same time.
fn remove_variables() {
    let is_only_thread = fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if is_only_thread {
        // SAFETY: this is the only thread of the process.
        unsafe {
            env::remove_var(SOCKET_FD_VAR);
            env::remove_var(STARTED_RUNS_FD_VAR);
            env::remove_var(SEND_BUFFER_FD_VAR);
        }
    }
}
