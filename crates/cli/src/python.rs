//! Which Python runs a module: the one that is named, else the one that this program was installed with.

use std::{
    env,
    path::{Path, PathBuf},
};

use rework_core::operation::kind::absolute;

use crate::report::hinted;

/// The interpreter, absolute, its symlinks kept: they are what an environment is made of.
pub(crate) fn interpreter(wish: Option<&Path>) -> anyhow::Result<PathBuf> {
    match wish {
        Some(wish) if wish.components().count() == 1 => {
            on_path(&wish.to_string_lossy()).ok_or_else(|| {
                hinted(format!("`{}` is not in PATH", wish.display()), "name its whole path")
            })
        }
        Some(wish) if wish.is_file() => Ok(absolute(wish)?),
        Some(wish) => Err(hinted(
            format!("there is no interpreter `{}`", wish.display()),
            "name that of an environment: `--python ENV/bin/python`",
        )),
        None => beside_us().or_else(activated).or_else(|| on_path("python3")).ok_or_else(|| {
            hinted(
                "there is no Python to run the module: none beside this program, and no `python3` in PATH",
                "name one: `--python ENV/bin/python`",
            )
        }),
    }
}

/// The environment into which the wheel with this program was installed.
fn beside_us() -> Option<PathBuf> {
    let folder = env::current_exe().ok()?.parent()?.to_owned();
    let found = ["python", "python3"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())?;
    folder.parent()?.join("pyvenv.cfg").is_file().then_some(found)
}

fn activated() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("VIRTUAL_ENV")?).join("bin/python");
    path.is_file().then_some(path)
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .and_then(|path| absolute(&path).ok())
}
