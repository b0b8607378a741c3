//! Executes this program again in the same process (`execve`): to remove a password from its arguments and environment
//! (`hide_dsn.rs`), or to run a newer version of the program. A monitor does the latter after SIGHUP.

use std::{
    convert::Infallible,
    ffi::{CString, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use anyhow::Context as _;
use nix::unistd::AccessFlags;

use crate::dsn_fd;

/// A DSN that the next program gets in anonymous memory, where other users cannot see it.
pub(crate) struct HiddenDsn {
    /// The option that names the memory: one of the options in `dsn_fd.rs`.
    pub(crate) option: &'static str,
    pub(crate) text: String,
}

/// Executes this program again with `args`, which start with the name of the program, and with these DSNs. The
/// variables `removed` are left out of its environment. Returns only if that fails.
pub(crate) fn reexec(args: Vec<OsString>, dsns: &[HiddenDsn], removed: &[&str]) -> anyhow::Error {
    match execute(args, dsns, removed) {
        Ok(never) => match never {},
        Err(error) => error.context("cannot restart this program"),
    }
}

fn execute(
    mut args: Vec<OsString>,
    dsns: &[HiddenDsn],
    removed: &[&str],
) -> anyhow::Result<Infallible> {
    // After `--` there are no options.
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    for dsn in dsns {
        args.insert(end, dsn_fd::argument(dsn.option, &dsn.text)?);
    }
    let args: Vec<CString> =
        args.into_iter().map(|arg| CString::new(arg.into_vec())).collect::<Result<_, _>>()?;
    let kept = std::env::vars_os().filter(|(name, _)| !removed.iter().any(|other| name == other));
    let variables = kept.map(|(mut variable, value)| {
        variable.push("=");
        variable.push(value);
        CString::new(variable.into_vec())
    });
    let variables: Vec<CString> = variables.collect::<Result<_, _>>()?;
    let program = program_path()?;
    let path = CString::new(program.clone().into_os_string().into_vec())?;
    rework_process::lower_limits()?;
    nix::unistd::execve(&path, &args, &variables)
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
