//! Which of the registered files changed, by looking at them now and then.
//!
//! A file counts as changed when it differs from what was registered and has looked the same twice
//! in a row: a compiler that is still writing it is not disturbed. A file that is gone is waited
//! for, since many tools delete before they write.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What tells one content of a file from the next, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since the epoch.
    modified: i128,
}

impl Stamp {
    /// Looks at a file, through symbolic links: `current/bin/ops` follows a release.
    pub(crate) fn of(path: &Path) -> Option<Stamp> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
        })
    }
}

/// Files, and how they last looked.
#[derive(Debug)]
pub(crate) struct Watch {
    files: BTreeMap<PathBuf, Seen>,
}

#[derive(Debug)]
struct Seen {
    /// When it was last said to be changed, or at the beginning.
    known: Option<Stamp>,
    /// At the last look.
    last: Option<Stamp>,
}

impl Watch {
    /// Begins with files as they are now; to be called before they are registered, so that a change
    /// meanwhile is seen.
    pub(crate) fn new(paths: &[PathBuf], look: impl Fn(&Path) -> Option<Stamp>) -> Watch {
        let seen = |path: &PathBuf| {
            let stamp = look(path);
            (path.clone(), Seen { known: stamp, last: stamp })
        };
        Watch { files: paths.iter().map(seen).collect() }
    }

    /// Looks again, and gives the files that changed and are stable since the last look. Each
    /// change is given once.
    pub(crate) fn look(&mut self, look: impl Fn(&Path) -> Option<Stamp>) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, seen) in &mut self.files {
            let now = look(path);
            if now.is_some() && now == seen.last && now != seen.known {
                seen.known = now;
                changed.push(path.clone());
            }
            seen.last = now;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What each look gives when the file has these sizes, one after the other; 0: it is gone.
    fn changes(sizes: &[u64]) -> Vec<usize> {
        let size = Cell::new(sizes[0]);
        let look = |_: &Path| {
            let stamp = Stamp { device: 1, inode: 1, size: size.get(), modified: 0 };
            (size.get() > 0).then_some(stamp)
        };
        let mut watch = Watch::new(&["ops".into()], look);
        let mut next = |now: &u64| {
            size.set(*now);
            watch.look(look).len()
        };
        sizes[1..].iter().map(&mut next).collect()
    }

    #[test]
    fn a_change_is_told_once_and_when_it_is_over() {
        assert_eq!(changes(&[1, 1, 1]), [0, 0]);
        assert_eq!(changes(&[1, 2, 2, 2]), [0, 1, 0]);
        assert_eq!(changes(&[1, 2, 3, 4, 4]), [0, 0, 0, 1]);
    }

    #[test]
    fn a_file_that_is_gone_is_waited_for() {
        assert_eq!(changes(&[1, 0, 0, 2, 2]), [0, 0, 0, 1]);
        assert_eq!(changes(&[1, 0, 1, 1]), [0, 0, 0]);
        assert_eq!(changes(&[0, 1, 1]), [0, 1]);
    }

    #[test]
    fn only_the_changed_file_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::write(path, "old").unwrap();
        }
        let mut watch = Watch::new(&paths, Stamp::of);
        fs::write(&paths[1], "newer").unwrap();
        assert_eq!(watch.look(Stamp::of), Vec::<PathBuf>::new());
        assert_eq!(watch.look(Stamp::of), [paths[1].clone()]);
        assert_eq!(watch.look(Stamp::of), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_link_that_points_elsewhere_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two, link] = ["one", "two", "link"].map(|name| directory.path().join(name));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&link), Stamp::of);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&two, &link).unwrap();
        watch.look(Stamp::of);
        assert_eq!(watch.look(Stamp::of), [link]);
    }
}
