//! The modules that `rework dev` keeps registered: those that it is given, else its own examples.
//!
//! Each is registered by the command that a person would type, so that what is printed and what
//! is refused is the same. One that is broken does not keep the others from being registered, nor
//! its own earlier registration from being used.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::Context as _;
use rework_core::operation::kind::{self, Kind};
use tokio::process::Command;

use super::{
    layout::state_directory,
    watch::{Stamp, Watch},
};

/// The paths of modules, and how their files looked when they were registered.
#[derive(Debug)]
pub(crate) struct Modules {
    paths: Vec<PathBuf>,
    watch: Watch,
}

impl Modules {
    /// Checks that there are such modules, at least by their names; without any, writes the
    /// examples into the project.
    pub(crate) fn of(paths: &[PathBuf], project: &Path) -> anyhow::Result<Modules> {
        let paths = match paths {
            [] => vec![examples(project)?],
            given => given
                .iter()
                .map(|path| {
                    Kind::of_file(path)?;
                    kind::absolute(path).with_context(|| format!("cannot find {}", path.display()))
                })
                .collect::<anyhow::Result<_>>()?,
        };
        let watch = Watch::new(&paths, Stamp::of);
        Ok(Modules { paths, watch })
    }

    /// Where they are.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Those whose files have changed since the last look.
    pub(crate) fn changed(&mut self) -> Vec<PathBuf> {
        self.watch.look(Stamp::of)
    }
}

/// Registers one module; what is to be said about it, in lines.
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
    Ok(said(path, &output))
}

/// `ops.toml: registered 1 new operation (0 already known)`
fn said(path: &Path, output: &Output) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let text = [&output.stderr[..], &output.stdout[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_end();
    if output.status.success() {
        return format!("{name}: {text}");
    }
    format!("{name}: not registered; what was registered before stays\n{text}")
}

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
        let modules = Modules::of(&[], project.path()).unwrap();
        let [path] = modules.paths() else { panic!("{modules:?}") };
        assert_eq!(path, &project.path().join(".rework/examples.toml"));
        fs::write(path, "# mine").unwrap();
        Modules::of(&[], project.path()).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "# mine");
    }

    #[test]
    fn a_path_that_is_not_there_is_refused_at_once() {
        let project = tempfile::tempdir().unwrap();
        let error = Modules::of(&[project.path().join("none.toml")], project.path()).unwrap_err();
        assert!(error.to_string().contains("none.toml"), "{error}");
    }

    #[test]
    fn a_fault_is_told_with_what_follows_from_it() {
        let output = |code: i32| Output {
            status: std::process::ExitStatus::from_raw(code << 8),
            stdout: b"registered 1 new operation (0 already known)\n".to_vec(),
            stderr: Vec::new(),
        };
        let path = Path::new("/x/ops.toml");
        let text = said(path, &output(0));
        assert_eq!(text, "ops.toml: registered 1 new operation (0 already known)");
        assert!(said(path, &output(1)).starts_with("ops.toml: not registered; what was"));
    }
}
