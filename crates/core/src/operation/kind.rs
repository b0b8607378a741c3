//! The kinds of module that hold operations: the one table of them, and how a path is recognised.

use std::{
    fmt, io,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

/// How a host runs an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A program made with the SDK.
    Rust,
    /// A Python module.
    Python,
    /// A manifest of commands.
    Command,
}

impl Kind {
    /// Every kind, with the ending of a file's name that tells it. A program has none.
    const TABLE: [(Kind, &'static str, Option<&'static str>); 3] = [
        (Kind::Rust, "rust", None),
        (Kind::Python, "python", Some("py")),
        (Kind::Command, "command", Some("toml")),
    ];

    /// The word for it, as the schema stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Rust => "rust",
            Kind::Python => "python",
            Kind::Command => "command",
        }
    }

    /// From the word that the schema stores.
    pub fn parse(word: &str) -> Option<Kind> {
        Kind::TABLE.iter().find(|(_, name, _)| *name == word).map(|(kind, ..)| *kind)
    }

    /// The kind of the file at `path`, which must be there and look usable.
    pub fn of_file(path: &Path) -> Result<Kind, KindError> {
        let fault = |why| Err(KindError { path: path.to_owned(), why });
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fault(Why::Absent),
            Err(error) => return fault(Why::Unreadable(error)),
        };
        if metadata.is_dir() {
            return fault(Why::Directory);
        }
        if !metadata.is_file() {
            return fault(Why::NoFile);
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        match Kind::TABLE.iter().find(|(_, _, known)| known.is_some() && *known == ending) {
            Some((kind, ..)) => Ok(*kind),
            None if metadata.permissions().mode() & 0o111 != 0 => Ok(Kind::Rust),
            None => fault(Why::NotExecutable),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A path from the root, without `.` and `..`, its symlinks kept: `current/bin/ops` goes on to
/// mean the release that is current.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    Ok(plain)
}

/// A path that holds no operations.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {why}", path.display())]
pub struct KindError {
    path: PathBuf,
    why: Why,
}

impl KindError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let path = self.path.display();
        match &self.why {
            Why::Directory => format!("name the files in it: `{path}/operations.toml`"),
            Why::NotExecutable => format!(
                "a manifest's name ends in `.toml`, a Python module's in `.py`; a program is made executable by `chmod +x {path}`"
            ),
            Why::Absent | Why::NoFile | Why::Unreadable(_) => {
                "name a manifest (`.toml`), a Python module (`.py`) or a program that you can read"
                    .into()
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("is not there")]
    Absent,
    #[error("cannot be looked at: {0}")]
    Unreadable(io::Error),
    #[error("is a directory, not a manifest, a module or a program")]
    Directory,
    #[error("is not a manifest, a module or a program")]
    NoFile,
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
    fn words_are_read_back() {
        for (kind, word, _) in Kind::TABLE {
            assert_eq!(kind.as_str(), word);
            assert_eq!(Kind::parse(word), Some(kind));
        }
        assert_eq!(Kind::parse("perl"), None);
    }

    #[test]
    fn files_are_recognised() {
        let folder = folder("recognised");
        for (name, mode, expected) in [
            ("ops.toml", 0o644, Ok(Kind::Command)),
            ("my-operations", 0o755, Ok(Kind::Rust)),
            ("run.sh", 0o755, Ok(Kind::Rust)),
            ("ops.py", 0o644, Ok(Kind::Python)),
            (
                "notes.txt",
                0o644,
                Err("neither a manifest (`.toml`), nor a Python module (`.py`), nor executable"),
            ),
        ] {
            let path = folder.join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match (Kind::of_file(&path), expected) {
                (Ok(kind), Ok(expected)) => assert_eq!(kind, expected),
                (Err(error), Err(said)) => assert!(error.to_string().contains(said), "{error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
        let error = Kind::of_file(&folder).unwrap_err();
        assert!(error.to_string().contains("is a directory"), "{error}");
        assert!(error.hint().contains("/operations.toml`"), "{}", error.hint());
        let error = Kind::of_file(&folder.join("absent.toml")).unwrap_err();
        assert!(error.to_string().ends_with("absent.toml` is not there"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn symlinks_are_kept() {
        let folder = folder("symlinks");
        fs::create_dir_all(folder.join("v1")).unwrap();
        let link = folder.join("current");
        std::os::unix::fs::symlink("v1", &link).unwrap();
        let given = folder.join("v1/../././current/ops.toml");
        assert_eq!(absolute(&given).unwrap(), link.join("ops.toml"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
