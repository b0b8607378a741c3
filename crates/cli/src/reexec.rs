//! Executes this program again in the same process (`execv`): to remove a password from its arguments, or to run a
//! newer version of the program. A monitor does the latter after SIGHUP.

use std::{
    convert::Infallible,
    ffi::{CString, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use anyhow::Context as _;
use nix::unistd::AccessFlags;

use crate::dsn_fd;

/// Executes this program again with `args`, which start with the name of the program. Passes `dsn` in anonymous memory,
/// where other users cannot see it. Returns only if that fails.
pub(crate) fn reexec_with_dsn(dsn: &str, mut args: Vec<OsString>) -> anyhow::Error {
    let executed = dsn_fd::argument(dsn).and_then(|argument| {
        args.push(argument);
        execute(args)
    });
    match executed {
        Ok(never) => match never {},
        Err(error) => error.context("cannot remove the password from the arguments"),
    }
}

/// Executes this program again with `args`, which start with the name of the program. Returns only if that fails.
pub(crate) fn reexec(args: Vec<OsString>) -> anyhow::Error {
    match execute(args) {
        Ok(never) => match never {},
        Err(error) => error.context("cannot restart this program"),
    }
}

fn execute(args: Vec<OsString>) -> anyhow::Result<Infallible> {
    let args: Vec<CString> =
        args.into_iter().map(|arg| CString::new(arg.into_vec())).collect::<Result<_, _>>()?;
    let program = program_path()?;
    let path = CString::new(program.clone().into_os_string().into_vec())?;
    nix::unistd::execv(&path, &args)
        .with_context(|| format!("cannot execute `{}`", program.display()))
}

/// Returns the file that a shell would start for the name of this process.
///
/// The name is resolved again because an upgrade may have replaced the file or redirected a symbolic link.
fn program_path() -> anyhow::Result<PathBuf> {
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
    // The kernel appends ` (deleted)` to the path of a replaced file. The new file has the path without it.
    let current = std::env::current_exe()?.into_os_string().into_vec();
    let path = current.strip_suffix(b" (deleted)").unwrap_or(&current);
    Ok(PathBuf::from(OsString::from_vec(path.to_vec())))
}
