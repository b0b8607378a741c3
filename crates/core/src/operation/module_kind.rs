//! The kinds of modules that contain operations, and how the kind of a file is recognised.

use std::{
    fmt, io,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

/// The kind of a module, which decides how a host runs its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    /// A program built with the Rust SDK.
    Rust,
    /// A Python module.
    Python,
    /// A TOML manifest of commands.
    Command,
}

impl ModuleKind {
    /// All kinds, with the name that the schema stores and the extension of the files. Programs have no extension.
    const TABLE: [(ModuleKind, &'static str, Option<&'static str>); 3] = [
        (ModuleKind::Rust, "rust", None),
        (ModuleKind::Python, "python", Some("py")),
        (ModuleKind::Command, "command", Some("toml")),
    ];

    /// Returns the name that the schema stores for this kind.
    pub fn as_str(self) -> &'static str {
        match self {
            ModuleKind::Rust => "rust",
            ModuleKind::Python => "python",
            ModuleKind::Command => "command",
        }
    }

    /// Returns the kind with this name. `None` if there is no such kind.
    pub fn parse(name: &str) -> Option<ModuleKind> {
        ModuleKind::TABLE.iter().find(|(_, stored, _)| *stored == name).map(|(kind, ..)| *kind)
    }

    /// Returns the kind of the file at `path`. `Err` if there is no such file, or if it cannot be a module.
    pub fn of_file(path: &Path) -> Result<ModuleKind, ModulePathError> {
        let error = |problem| Err(ModulePathError { path: path.to_owned(), problem });
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return error(PathProblem::Missing),
            Err(e) => return error(PathProblem::Unreadable(e)),
        };
        if metadata.is_dir() {
            return error(PathProblem::Directory);
        }
        if !metadata.is_file() {
            return error(PathProblem::NotAFile);
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        match ModuleKind::TABLE.iter().find(|(_, _, known)| known.is_some() && *known == extension)
        {
            Some((kind, ..)) => Ok(*kind),
            None if metadata.permissions().mode() & 0o111 != 0 => Ok(ModuleKind::Rust),
            None => error(PathProblem::NotExecutable),
        }
    }
}

impl fmt::Display for ModuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Returns the absolute path without `.` and `..`. `Err` if `path` is empty, or if the current
/// folder cannot be read. Symlinks are kept: if `current` is a symlink to a release,
/// `current/bin/ops` follows it to each new release.
pub fn absolute_path(path: &Path) -> io::Result<PathBuf> {
    let mut absolute = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => {
                absolute.pop();
            }
            Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    Ok(absolute)
}

/// The error for a path that is not a module.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {problem}", path.display())]
pub struct ModulePathError {
    path: PathBuf,
    problem: PathProblem,
}

impl ModulePathError {
    /// Returns what the user can do.
    pub fn hint(&self) -> String {
        let path = self.path.display();
        match &self.problem {
            PathProblem::Directory => {
                format!("name the files in it, for example `{path}/operations.toml`")
            }
            PathProblem::NotExecutable => format!(
                "a manifest is named `….toml`, a Python module `….py`; to make a program executable, type \
                 `chmod +x {path}`"
            ),
            PathProblem::Missing | PathProblem::NotAFile | PathProblem::Unreadable(_) => {
                "name a manifest (`.toml`), a Python module (`.py`) or a program that you can read"
                    .into()
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum PathProblem {
    #[error("does not exist")]
    Missing,
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is a directory, not a manifest, a module or a program")]
    Directory,
    #[error("is not a manifest, a module or a program")]
    NotAFile,
    #[error("is neither a manifest (`.toml`), nor a Python module (`.py`), nor executable")]
    NotExecutable,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(test: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("rework-kind-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_stored_name_of_a_kind_is_read_back() {
        for (kind, name, _) in ModuleKind::TABLE {
            assert_eq!(kind.as_str(), name);
            assert_eq!(ModuleKind::parse(name), Some(kind));
        }
        assert_eq!(ModuleKind::parse("perl"), None);
    }

    #[test]
    fn the_kind_of_a_file_is_recognised() {
        let folder = folder("recognised");
        for (name, mode, expected) in [
            ("ops.toml", 0o644, Ok(ModuleKind::Command)),
            ("my-operations", 0o755, Ok(ModuleKind::Rust)),
            ("run.sh", 0o755, Ok(ModuleKind::Rust)),
            ("ops.py", 0o644, Ok(ModuleKind::Python)),
            (
                "notes.txt",
                0o644,
                Err("neither a manifest (`.toml`), nor a Python module (`.py`), nor executable"),
            ),
        ] {
            let path = folder.join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match (ModuleKind::of_file(&path), expected) {
                (Ok(kind), Ok(expected)) => assert_eq!(kind, expected),
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (result, _) => panic!("{name}: {result:?}"),
            }
        }
        let error = ModuleKind::of_file(&folder).unwrap_err();
        assert!(error.to_string().contains("is a directory"), "{error}");
        assert!(error.hint().contains("/operations.toml`"), "{}", error.hint());
        let error = ModuleKind::of_file(&folder.join("absent.toml")).unwrap_err();
        assert!(error.to_string().ends_with("absent.toml` does not exist"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_absolute_path_keeps_symlinks() {
        let folder = folder("symlinks");
        fs::create_dir_all(folder.join("v1")).unwrap();
        let link = folder.join("current");
        std::os::unix::fs::symlink("v1", &link).unwrap();
        let given = folder.join("v1/../././current/ops.toml");
        assert_eq!(absolute_path(&given).unwrap(), link.join("ops.toml"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
