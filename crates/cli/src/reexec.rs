//! Executing this program anew in the same process: to take a password out of its arguments, or to run
//! a newer version of the program, as a monitor does after SIGHUP.

use std::{
    convert::Infallible,
    ffi::{CString, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use anyhow::Context as _;
use nix::unistd::AccessFlags;

use crate::dsn_fd;

/// Executes this program anew with `args`, the program's name first, and with `dsn` out of sight.
/// Returns only if that failed.
pub(crate) fn reexec_with_dsn(dsn: &str, mut args: Vec<OsString>) -> anyhow::Error {
    let executed = dsn_fd::argument(dsn).and_then(|argument| {
        args.push(argument);
        execute(args)
    });
    match executed {
        Ok(never) => match never {},
        Err(error) => error.context("cannot move the password out of the arguments"),
    }
}

/// Executes this program anew with `args`, the program's name first. Returns only if that failed.
pub(crate) fn reexec(args: Vec<OsString>) -> anyhow::Error {
    match execute(args) {
        Ok(never) => match never {},
        Err(error) => error.context("cannot execute this program again"),
    }
}

fn execute(args: Vec<OsString>) -> anyhow::Result<Infallible> {
    let args: Vec<CString> =
        args.into_iter().map(|arg| CString::new(arg.into_vec())).collect::<Result<_, _>>()?;
    let program = program()?;
    let path = CString::new(program.clone().into_os_string().into_vec())?;
    nix::unistd::execv(&path, &args)
        .with_context(|| format!("`{}` cannot be executed", program.display()))
}

/// The file that a shell would start by the name of this process: a link may lead elsewhere by now,
/// and a file may have been replaced.
fn program() -> anyhow::Result<PathBuf> {
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
