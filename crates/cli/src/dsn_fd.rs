//! Passes a DSN to the next program without showing it to other users.
//!
//! Every user can read the arguments of a process. So the DSN, which may contain a password, is written to anonymous
//! memory (`memfd_create`), and only the number of its file descriptor is an argument. `reexec.rs` uses this.

use std::{
    ffi::OsString,
    fs::File,
    io::Write as _,
    os::fd::{IntoRawFd as _, OwnedFd},
};

use anyhow::Context as _;
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};

/// The hidden option that carries the number of the file descriptor with the DSN of the database.
pub(crate) const OPTION: &str = "--dsn-fd";

/// The hidden option of `rework monitor` for the DSN for notifications.
pub(crate) const LISTEN_OPTION: &str = "--listen-dsn-fd";

/// Writes a DSN to anonymous memory that the next program inherits. Returns the argument to pass to that program, which
/// begins with `option`.
pub(crate) fn argument(option: &str, dsn: &str) -> anyhow::Result<OsString> {
    let memory = memfd_create(c"rework-dsn", MFdFlags::empty())?;
    // Clear close-on-exec: the next program must inherit the descriptor.
    fcntl(&memory, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut file = File::from(memory);
    file.write_all(dsn.as_bytes())?;
    let fd = OwnedFd::from(file).into_raw_fd();
    Ok(format!("{option}={fd}").into())
}

/// Reads the DSN and closes the descriptor, so that processes that this one starts do not inherit it.
pub(crate) fn read_and_close(fd: i32) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(format!("/proc/self/fd/{fd}"))
        .with_context(|| format!("cannot read the DSN from file descriptor {fd}"))?;
    nix::unistd::close(fd).context("cannot close the file descriptor of the DSN")?;
    Ok(text)
}
