//! Passing a DSN from one program to the next out of sight: in anonymous memory, whose descriptor is
//! named in the arguments. A DSN in the arguments could be read by everybody who may list processes.

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

/// The hidden option that names the descriptor.
const OPTION: &str = "--dsn-fd";

/// Puts a DSN into anonymous memory that the next program inherits; returns the argument that names
/// it.
pub(crate) fn argument(dsn: &str) -> anyhow::Result<OsString> {
    let memory = memfd_create(c"rework-dsn", MFdFlags::empty())?;
    fcntl(&memory, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut file = File::from(memory);
    file.write_all(dsn.as_bytes())?;
    let fd = OwnedFd::from(file).into_raw_fd();
    Ok(format!("{OPTION}={fd}").into())
}

/// Reads the DSN, and closes the descriptor, so that no process that we start inherits it.
pub(crate) fn take(fd: i32) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(format!("/proc/self/fd/{fd}"))
        .with_context(|| format!("cannot read the database's name from descriptor {fd}"))?;
    nix::unistd::close(fd).context("cannot close the descriptor of the database's name")?;
    Ok(text)
}
