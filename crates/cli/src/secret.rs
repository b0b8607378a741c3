//! Executing this program again: to take a password out of sight, since whoever may list processes
//! can read their arguments; or because the program was replaced by a newer one. The DSN goes along
//! in a piece of anonymous memory, whose descriptor is named in the arguments.

use std::{
    convert::Infallible,
    ffi::{CString, OsString},
    fs::File,
    io::Write as _,
    os::fd::{IntoRawFd as _, OwnedFd},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use anyhow::Context as _;
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::AccessFlags,
};

/// The hidden option that names the descriptor.
pub(crate) const OPTION: &str = "--dsn-fd";

/// Executes this program again with `dsn` in anonymous memory, named at the end of `args`, which
/// hold everything else, the program's name first. Returns only when that failed.
pub(crate) fn reexecute(dsn: &str, args: Vec<OsString>) -> anyhow::Error {
    match reexecute_or(dsn, args) {
        Ok(never) => match never {},
        Err(error) => error.context("cannot move the password out of the arguments"),
    }
}

fn reexecute_or(dsn: &str, mut args: Vec<OsString>) -> anyhow::Result<Infallible> {
    let memory = memfd_create(c"rework-dsn", MFdFlags::empty())?;
    fcntl(&memory, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut file = File::from(memory);
    file.write_all(dsn.as_bytes())?;
    let fd = OwnedFd::from(file).into_raw_fd();
    args.push(format!("{OPTION}={fd}").into());
    let args: Vec<CString> =
        args.into_iter().map(|arg| CString::new(arg.into_vec())).collect::<Result<_, _>>()?;
    execute(&args)
}

/// Executes whatever is the program now, by the name by which this one was started, with `args`, the
/// name first. Returns only when that failed.
pub(crate) fn execute_again(args: Vec<OsString>) -> anyhow::Error {
    let args: Result<Vec<CString>, _> =
        args.into_iter().map(|arg| CString::new(arg.into_vec())).collect();
    match args.map_err(anyhow::Error::from).and_then(|args| execute(&args)) {
        Ok(never) => match never {},
        Err(error) => error.context("cannot execute this program again"),
    }
}

fn execute(args: &[CString]) -> anyhow::Result<Infallible> {
    let program = program()?;
    let path = CString::new(program.clone().into_os_string().into_vec())?;
    nix::unistd::execv(&path, args)
        .with_context(|| format!("`{}` cannot be executed", program.display()))
}

/// The file that a shell would start by the name of this process: a link may lead elsewhere by now,
/// and a file may have been replaced.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let name = std::env::args_os().next().unwrap_or_default();
    let executable = |path: &PathBuf| nix::unistd::access(path, AccessFlags::X_OK).is_ok();
    let named = if name.as_bytes().contains(&b'/') {
        Some(PathBuf::from(&name)).filter(executable)
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(&name)).find(executable)
    };
    if let Some(path) = named {
        return Ok(path);
    }
    // Replaced, it is shown as deleted; its name is that of the new one.
    let shown = std::env::current_exe()?.into_os_string().into_vec();
    let path = shown.strip_suffix(b" (deleted)").unwrap_or(&shown);
    Ok(PathBuf::from(OsString::from_vec(path.to_vec())))
}

/// Reads the DSN, and closes the descriptor: nothing that we start shall inherit it.
pub(crate) fn take(fd: i32) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(format!("/proc/self/fd/{fd}"))
        .with_context(|| format!("cannot read the database's name from descriptor {fd}"))?;
    nix::unistd::close(fd).context("cannot close the descriptor of the database's name")?;
    Ok(text)
}
