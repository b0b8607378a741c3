//! Chooses the Python interpreter that runs a module: the named one, else that of the environment in which this program
//! is installed, else that of the activated environment, else `python3` from `PATH`.

use std::{
    env,
    path::{Path, PathBuf},
};

use rework_core::operation::module_kind::absolute_path;

use crate::error_text::hinted;

/// Returns the absolute path of the interpreter. `requested` is the value of the option `--python`.
///
/// Symbolic links in the path are kept, because Python finds a virtual environment by the path of its link.
pub(crate) fn interpreter(requested: Option<&Path>) -> anyhow::Result<PathBuf> {
    match requested {
        Some(requested) if requested.components().count() == 1 => {
            find_in_path(&requested.to_string_lossy()).ok_or_else(|| {
                hinted(
                    format!("no Python interpreter `{}` in PATH", requested.display()),
                    "give its path: `--python ENV/bin/python`",
                )
            })
        }
        Some(requested) if requested.is_file() => Ok(absolute_path(requested)?),
        Some(requested) => Err(hinted(
            format!("no Python interpreter at `{}`", requested.display()),
            "give the interpreter of a virtual environment: `--python ENV/bin/python`",
        )),
        None => own_environment()
            .or_else(activated_environment)
            .or_else(|| find_in_path("python3"))
            .ok_or_else(|| {
                hinted(
                    "no Python interpreter to run the module: neither a virtual environment nor `python3` in PATH",
                    "give one: `--python ENV/bin/python`",
                )
            }),
    }
}

/// Returns the interpreter of the virtual environment in which this program is installed. `None` if it is not in one.
fn own_environment() -> Option<PathBuf> {
    let folder = env::current_exe().ok()?.parent()?.to_owned();
    let python = ["python", "python3"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())?;
    folder.parent()?.join("pyvenv.cfg").is_file().then_some(python)
}

/// Returns the interpreter of the virtual environment that the user's shell has activated. `None`
/// if it has activated none.
fn activated_environment() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("VIRTUAL_ENV")?).join("bin/python");
    path.is_file().then_some(path)
}

fn find_in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .and_then(|path| absolute_path(&path).ok())
}
