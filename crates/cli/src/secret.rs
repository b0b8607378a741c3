//! A password out of sight: whoever may list processes can read their arguments, and those of a
//! command that runs for days stay there for days. So such a command writes its DSN into a piece
//! of anonymous memory, and executes itself again without it, with the number of the descriptor.

use std::{
    ffi::CString,
    fs::File,
    io::Write as _,
    os::fd::{IntoRawFd as _, OwnedFd},
    os::unix::ffi::OsStringExt as _,
};

use anyhow::Context as _;
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};

/// The hidden option that names the descriptor.
pub(crate) const OPTION: &str = "--dsn-fd";

/// Executes this program again with `dsn` in anonymous memory, named at the end of `args`, which
/// hold everything else, the program's name first. Returns only when that failed.
pub(crate) fn reexecute(dsn: &str, args: Vec<std::ffi::OsString>) -> anyhow::Error {
    match reexecute_or(dsn, args) {
        Ok(never) => match never {},
        Err(error) => error.context("cannot move the password out of the arguments"),
    }
}

fn reexecute_or(
    dsn: &str,
    mut args: Vec<std::ffi::OsString>,
) -> anyhow::Result<std::convert::Infallible> {
    let memory = memfd_create(c"rework-dsn", MFdFlags::empty())?;
    fcntl(&memory, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut file = File::from(memory);
    file.write_all(dsn.as_bytes())?;
    let fd = OwnedFd::from(file).into_raw_fd();
    args.push(format!("{OPTION}={fd}").into());
    let args: Vec<CString> =
        args.into_iter().map(|arg| CString::new(arg.into_vec())).collect::<Result<_, _>>()?;
    let program = CString::new(std::env::current_exe()?.into_os_string().into_vec())?;
    Ok(nix::unistd::execv(&program, &args)?)
}

/// Reads the DSN, and closes the descriptor: nothing that we start shall inherit it.
pub(crate) fn take(fd: i32) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(format!("/proc/self/fd/{fd}"))
        .with_context(|| format!("cannot read the database's name from descriptor {fd}"))?;
    nix::unistd::close(fd).context("cannot close the descriptor of the database's name")?;
    Ok(text)
}
