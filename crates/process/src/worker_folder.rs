//! The folder for temporary files of one worker, `rework-TAG` below `$TMPDIR`. TAG is the process tag of the worker.
//!
//! A worker holds a lock on its folder as long as it lives. So a process that gets the lock knows that the worker is
//! dead, and that nobody needs the folder any more. Programs that delete old temporary files, such as systemd-tmpfiles,
//! skip locked folders.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

use crate::procfs::TREE_FOLDER_PREFIX;

/// The length of a UUID as text. The process tag of every worker is a UUID.
const UUID_LENGTH: usize = 36;

/// The folder of a living worker.
#[derive(Debug)]
pub struct WorkerFolder {
    process_tag: String,
    /// The locked folder. `None` if its file system has no locks.
    _lock: Option<Flock<File>>,
}

impl WorkerFolder {
    /// Creates the folder. It must not exist before, because another user could have created it. The error names the
    /// folder.
    pub fn create(process_tag: &str) -> io::Result<WorkerFolder> {
        let path = path_of(process_tag);
        let created = DirBuilder::new().mode(0o700).create(&path).and_then(|()| File::open(&path));
        let folder = created.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot create `{}`: {error}", path.display()))
        })?;
        let lock = Flock::lock(folder, FlockArg::LockSharedNonblock).ok();
        Ok(WorkerFolder { process_tag: process_tag.to_owned(), _lock: lock })
    }

    /// Creates the folder again if somebody has deleted it. `Err` if that is not possible, or if another user has taken
    /// its place.
    pub fn restore(&mut self) -> io::Result<()> {
        let path = self.path();
        match fs::symlink_metadata(&path) {
            Ok(found) if is_private(&found) => Ok(()),
            Ok(_) => {
                let reason = format!("`{}` is no private folder of this user", path.display());
                Err(io::Error::other(reason))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *self = WorkerFolder::create(&self.process_tag)?;
                Ok(())
            }
            Err(error) => {
                Err(io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))
            }
        }
    }

    pub fn path(&self) -> PathBuf {
        path_of(&self.process_tag)
    }
}

/// Deletes the folder of a dead worker with everything in it. A missing folder is not an error.
pub fn remove_worker_folder(process_tag: &str) -> io::Result<()> {
    match fs::remove_dir_all(path_of(process_tag)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The process tags of the workers whose folders exist.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FoundWorkers {
    /// The dead workers of this user.
    pub dead: Vec<String>,
    /// All others. A worker counts as alive if its folder is young or not a folder of this user, or if the lock of the
    /// folder cannot be taken.
    pub alive: BTreeSet<String>,
}

/// Finds the workers whose folders exist. The folders of dead workers are at least `min_age` old, because a worker that
/// is starting has created its folder and not locked it yet.
pub fn find_workers(min_age: Duration) -> FoundWorkers {
    find_in(&std::env::temp_dir(), min_age)
}

fn find_in(parent: &Path, min_age: Duration) -> FoundWorkers {
    let mut found = FoundWorkers::default();
    let Ok(entries) = fs::read_dir(parent) else { return found };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(process_tag) = name.to_str().and_then(parse_name) else { continue };
        if is_dead(&entry.path(), min_age) {
            found.dead.push(process_tag.to_owned());
        } else {
            found.alive.insert(process_tag.to_owned());
        }
    }
    found
}

/// Returns whether the worker of a folder has certainly ended.
fn is_dead(path: &Path, min_age: Duration) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let is_old = metadata
        .modified()
        .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age >= min_age));
    if !is_old || !is_private(&metadata) {
        return false;
    }
    let Ok(folder) = File::open(path) else { return false };
    Flock::lock(folder, FlockArg::LockExclusiveNonblock).is_ok()
}

/// Returns whether this is a folder of this user that other users cannot enter.
fn is_private(metadata: &Metadata) -> bool {
    metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0
}

fn path_of(process_tag: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{TREE_FOLDER_PREFIX}{process_tag}"))
}

/// Parses the name of a worker's folder into the process tag. `None` for other folders.
fn parse_name(name: &str) -> Option<&str> {
    let process_tag = name.strip_prefix(TREE_FOLDER_PREFIX)?;
    let is_uuid = process_tag.len() == UUID_LENGTH
        && process_tag.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uuid.then_some(process_tag)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DEAD: &str = "00000000-0000-4000-8000-000000000001";
    const ALIVE: &str = "00000000-0000-4000-8000-000000000002";
    const SHARED: &str = "00000000-0000-4000-8000-000000000003";

    #[test]
    fn only_an_old_private_folder_without_lock_belongs_to_a_dead_worker() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |process_tag: &str, mode: u32| {
            let path = parent.path().join(format!("rework-{process_tag}"));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        folder(DEAD, 0o700);
        let alive = File::open(folder(ALIVE, 0o700)).unwrap();
        let _lock = Flock::lock(alive, FlockArg::LockSharedNonblock).unwrap();
        folder(SHARED, 0o777);
        folder("test-1", 0o700);
        let found = find_in(parent.path(), Duration::ZERO);
        assert_eq!(found.dead, [DEAD]);
        assert_eq!(found.alive, [ALIVE.to_owned(), SHARED.to_owned()].into());
        let young = find_in(parent.path(), Duration::from_secs(60));
        assert_eq!((young.dead.len(), young.alive.len()), (0, 3));
    }
}
