//! Finds out which files have changed, by polling their metadata.
//!
//! A file counts as changed if it differs from its last known state and was the same at two polls in a row. So a file
//! that a compiler is still writing does not count yet. A file that is missing does not count either, because many
//! tools delete a file before they write it again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The metadata of a file that changes when its contents change. So the contents need not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    /// The modification time in nanoseconds since the Unix epoch.
    modified: i128,
}

impl FileStamp {
    /// Returns the stamp of a file. `None` if it is missing or not a regular file.
    ///
    /// Symbolic links are followed, so that a link that is switched to another release counts as a change.
    pub(crate) fn of(path: &Path) -> Option<FileStamp> {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(FileStamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        })
    }
}

/// Files that are polled for changes.
#[derive(Debug)]
pub(crate) struct ChangedFiles {
    files: BTreeMap<PathBuf, FileState>,
}

/// The state of one file. A stamp is `None` if the file was missing or not a regular file.
#[derive(Debug)]
struct FileState {
    /// The stamp when the file was last returned as changed, or at the start.
    known: Option<FileStamp>,
    /// The stamp at the last poll.
    last: Option<FileStamp>,
}

impl ChangedFiles {
    /// Starts with the current state of the files. Call it before the files are registered, so that a change during the
    /// registration is noticed.
    ///
    /// `stamp_of` reads the stamp of a file; tests pass another function than [`FileStamp::of`].
    pub(crate) fn new(
        paths: &[PathBuf],
        stamp_of: impl Fn(&Path) -> Option<FileStamp>,
    ) -> ChangedFiles {
        let state = |path: &PathBuf| {
            let stamp = stamp_of(path);
            (path.clone(), FileState { known: stamp, last: stamp })
        };
        ChangedFiles { files: paths.iter().map(state).collect() }
    }

    /// Returns the files that have changed and were the same at this poll and the last one. Each change is returned
    /// once.
    pub(crate) fn poll(&mut self, stamp_of: impl Fn(&Path) -> Option<FileStamp>) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, state) in &mut self.files {
            let now = stamp_of(path);
            if now.is_some() && now == state.last && now != state.known {
                state.known = now;
                changed.push(path.clone());
            }
            state.last = now;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Returns the number of changed files at each poll if a file has these sizes one after the other. At size 0 the
    /// file is missing.
    fn changes(sizes: &[u64]) -> Vec<usize> {
        let size = Cell::new(sizes[0]);
        let stamp_of = |_: &Path| {
            let stamp = FileStamp { device: 1, inode: 1, size: size.get(), modified: 0 };
            (size.get() > 0).then_some(stamp)
        };
        let mut files = ChangedFiles::new(&["ops".into()], stamp_of);
        let mut next = |now: &u64| {
            size.set(*now);
            files.poll(stamp_of).len()
        };
        sizes[1..].iter().map(&mut next).collect()
    }

    #[test]
    fn a_change_is_returned_once_and_when_the_file_is_stable() {
        assert_eq!(changes(&[1, 1, 1]), [0, 0]);
        assert_eq!(changes(&[1, 2, 2, 2]), [0, 1, 0]);
        assert_eq!(changes(&[1, 2, 3, 4, 4]), [0, 0, 0, 1]);
    }

    #[test]
    fn a_missing_file_is_returned_when_it_exists_again() {
        assert_eq!(changes(&[1, 0, 0, 2, 2]), [0, 0, 0, 1]);
        assert_eq!(changes(&[1, 0, 1, 1]), [0, 0, 0]);
        assert_eq!(changes(&[0, 1, 1]), [0, 1]);
    }

    #[test]
    fn only_the_changed_file_is_returned() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::write(path, "old").unwrap();
        }
        let mut files = ChangedFiles::new(&paths, FileStamp::of);
        fs::write(&paths[1], "newer").unwrap();
        assert_eq!(files.poll(FileStamp::of), Vec::<PathBuf>::new());
        assert_eq!(files.poll(FileStamp::of), [paths[1].clone()]);
        assert_eq!(files.poll(FileStamp::of), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_link_that_points_elsewhere_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two, link] = ["one", "two", "link"].map(|name| directory.path().join(name));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let mut files = ChangedFiles::new(std::slice::from_ref(&link), FileStamp::of);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&two, &link).unwrap();
        files.poll(FileStamp::of);
        assert_eq!(files.poll(FileStamp::of), [link]);
    }
}
