//! Registers the modules of `rework dev`: the given ones, or else a file of examples.
//!
//! Each module is registered by running `rework register-operations`, so that the output and the checks are the same as
//! for a user. A broken module does not prevent the registration of the others, and its earlier registration stays in
//! use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::Context as _;
use rework_core::operation::module_kind::{self, ModuleKind};
use tokio::process::Command;

use super::{
    changed_files::{ChangedFiles, FileStamp},
    layout::state_directory,
};

/// The modules of `rework dev`, and the state of their files.
#[derive(Debug)]
pub(crate) struct DevModules {
    paths: Vec<PathBuf>,
    files: ChangedFiles,
}

impl DevModules {
    /// Checks that the modules exist and that their kind is known. If `paths` is empty, uses the examples in the
    /// project, and writes their file first if it is missing.
    pub(crate) fn of(paths: &[PathBuf], project: &Path) -> anyhow::Result<DevModules> {
        let paths = match paths {
            [] => vec![examples(project)?],
            given => given
                .iter()
                .map(|path| {
                    ModuleKind::of_file(path)?;
                    module_kind::absolute_path(path)
                        .with_context(|| format!("cannot find {}", path.display()))
                })
                .collect::<anyhow::Result<_>>()?,
        };
        let files = ChangedFiles::new(&paths, FileStamp::of);
        Ok(DevModules { paths, files })
    }

    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Returns the modules whose files have changed. Each change is returned once.
    pub(crate) fn changed(&mut self) -> Vec<PathBuf> {
        self.files.poll(FileStamp::of)
    }
}

/// Registers one module. Returns the output for the user. `Err` only if the command cannot be run.
pub(crate) async fn register(path: &Path, dsn: &str) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let output = Command::new(program)
        .arg("register-operations")
        .arg(path)
        .env("REWORK_DSN", dsn)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run `rework register-operations`")?;
    Ok(result_text(path, &output))
}

/// Returns the output of `rework register-operations` after the name of the file:
/// `ops.toml: registered 1 new operation (0 already known)`. If the command failed, the text also
/// says that an earlier registration stays in use.
fn result_text(path: &Path, output: &Output) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let text = [&output.stderr[..], &output.stdout[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_end();
    if output.status.success() {
        return format!("{name}: {text}");
    }
    format!("{name}: not registered; an earlier registration stays in use\n{text}")
}

/// Returns the path of the examples. Writes the file unless it exists, because the user may have edited it.
fn examples(project: &Path) -> anyhow::Result<PathBuf> {
    let path = state_directory(project)?.join("examples.toml");
    if !path.exists() {
        fs::write(&path, include_str!("../../../../examples/commands.toml"))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn the_examples_are_written_once() {
        let project = tempfile::tempdir().unwrap();
        let modules = DevModules::of(&[], project.path()).unwrap();
        let [path] = modules.paths() else { panic!("{modules:?}") };
        assert_eq!(path, &project.path().join(".rework/examples.toml"));
        fs::write(path, "# mine").unwrap();
        DevModules::of(&[], project.path()).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "# mine");
    }

    #[test]
    fn a_missing_module_is_an_error() {
        let project = tempfile::tempdir().unwrap();
        let error =
            DevModules::of(&[project.path().join("none.toml")], project.path()).unwrap_err();
        assert!(error.to_string().contains("none.toml"), "{error}");
    }

    #[test]
    fn a_failed_registration_says_that_the_earlier_one_stays_in_use() {
        let output = |code: i32| Output {
            status: std::process::ExitStatus::from_raw(code << 8),
            stdout: b"registered 1 new operation (0 already known)\n".to_vec(),
            stderr: Vec::new(),
        };
        let path = Path::new("/x/ops.toml");
        let text = result_text(path, &output(0));
        assert_eq!(text, "ops.toml: registered 1 new operation (0 already known)");
        assert!(result_text(path, &output(1)).starts_with("ops.toml: not registered; an earlier"));
    }
}
