//! Lists and reads the files of this repository, for tests that check the sources and documents.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the top folder of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all files below these folders of the repository, sorted, without build results in `target`.
pub(crate) fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut next: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = next.pop() {
        let Ok(entries) = folder.read_dir() else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if !path.is_dir() {
                paths.push(path);
            } else if path.file_name().is_none_or(|name| name != "target") {
                next.push(path);
            }
        }
    }
    paths.sort();
    paths
}

pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|actual| actual == extension)
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a path relative to the top folder, for messages.
pub(crate) fn display_path(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Asserts that the list is empty. Otherwise panics with one violation in each line.
#[track_caller]
pub(crate) fn assert_no_violations(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
