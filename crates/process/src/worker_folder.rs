//! The folder for temporary files of one worker, `rework-TAG` below `$TMPDIR`. TAG is the process tag of the worker.
//!
//! A worker holds a lock on its folder as long as it lives. So a process that gets the lock knows that the worker is
//! dead, and that nobody needs the folder any more. Programs that delete old temporary files, such as systemd-tmpfiles,
//! skip locked folders.

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

/// Returns the process tags of the dead workers of this user whose folders exist. The folders are at least `min_age`
/// old, because a worker that is starting has created its folder and not locked it yet.
pub fn dead_workers(min_age: Duration) -> Vec<String> {
    dead_workers_in(&std::env::temp_dir(), min_age)
}

fn dead_workers_in(parent: &Path, min_age: Duration) -> Vec<String> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let dead = entries.filter_map(|entry| {
        let name = entry.file_name();
        let process_tag = parse_name(name.to_str()?)?;
        is_dead(&entry.path(), min_age).then(|| process_tag.to_owned())
    });
    dead.collect()
}

/// Returns whether the worker of a folder has certainly ended. It counts as alive if its folder is young or not a
/// private folder of this user, or if the lock of the folder cannot be taken.
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
    let rights_of_others = metadata.mode() & 0o077;
    metadata.is_dir() && metadata.uid() == geteuid().as_raw() && rights_of_others == 0
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
        assert_eq!(dead_workers_in(parent.path(), Duration::ZERO), [DEAD]);
        assert!(dead_workers_in(parent.path(), Duration::from_secs(60)).is_empty());
    }
}
