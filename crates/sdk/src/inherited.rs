//! What a worker leaves to its runner: the socket, the page and the outbox, as numbers in the environment.
//!
//! Neither number nor descriptor goes on to the programs that an operation starts: they would keep
//! the socket open, and one that is a runner itself would take them for its own.

#![expect(
    unsafe_code,
    reason = "taking over a descriptor by its number, and clearing the environment"
)]

use std::fs::{self, File};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use rework_wire::runner::{OUTBOX_FD_VAR, PAGE_FD_VAR, SOCKET_FD_VAR};

/// What was inherited.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// Frames travel here.
    pub(crate) socket: UnixStream,
    /// The runs that were begun are noted here.
    pub(crate) page: Option<File>,
    /// Frames that can wait may lie here.
    pub(crate) outbox: Option<File>,
}

/// A number in the environment that is not what it should be, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("`{name}={number}` names no {what} that is open in this process")]
pub(crate) struct NotInherited {
    name: &'static str,
    number: String,
    what: &'static str,
}

/// Takes it over, at most once; none if no worker started this process.
pub(crate) fn take() -> Result<Option<Inherited>, NotInherited> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let Ok(socket) = env::var(SOCKET_FD_VAR) else { return Ok(None) };
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    let socket = UnixStream::from(own(SOCKET_FD_VAR, socket, "socket")?);
    let (page, outbox) = (file(PAGE_FD_VAR)?, file(OUTBOX_FD_VAR)?);
    forget_variables();
    Ok(Some(Inherited { socket, page, outbox }))
}

/// The file that a variable names, if it is there.
fn file(name: &'static str) -> Result<Option<File>, NotInherited> {
    let number = env::var(name).ok();
    number.map(|number| own(name, number, "file").map(File::from)).transpose()
}

fn own(name: &'static str, number: String, what: &'static str) -> Result<OwnedFd, NotInherited> {
    let open = number.parse().ok().filter(|fd| *fd > 2 && is_open(*fd, what));
    let Some(fd) = open else { return Err(NotInherited { name, number, what }) };
    // SAFETY: it is open; the worker opened it for this process to own; and `take` is the only one
    // to take it, once.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    match keep_from_children(&owned) {
        Ok(()) => Ok(owned),
        Err(_) => Err(NotInherited { name, number, what }),
    }
}

/// Looks by name: a number that names nothing must not be made a descriptor.
fn is_open(fd: RawFd, what: &str) -> bool {
    ["/proc/self/fd", "/dev/fd"].iter().any(|folder| {
        fs::metadata(format!("{folder}/{fd}")).is_ok_and(|found| match what {
            "socket" => found.file_type().is_socket(),
            _ => found.is_file(),
        })
    })
}

fn keep_from_children(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Clears the numbers, where nobody can be reading the environment meanwhile.
fn forget_variables() {
    let alone = fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone {
        // SAFETY: this is the only thread of the process.
        unsafe {
            env::remove_var(SOCKET_FD_VAR);
            env::remove_var(PAGE_FD_VAR);
            env::remove_var(OUTBOX_FD_VAR);
        }
    }
}
