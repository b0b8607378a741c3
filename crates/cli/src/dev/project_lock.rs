//! Ensures that at most one `rework dev` runs per project, and publishes where its database is.
//!
//! A file lock (`.rework/dev.lock`) ensures the former. The kernel releases it even if the process is killed. The
//! holder of the lock writes `.rework/dev.json`, in which other commands find the database (`discover.rs`).

use std::{
    fs::{self, File},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};

use super::{error::DevError, layout::state_directory};
use crate::discover::{self, DevInfo};

/// The lock that a running `rework dev` holds on its project.
#[derive(Debug)]
pub(crate) struct ProjectLock {
    /// The path of `dev.json`.
    info_path: PathBuf,
    _lock: Flock<File>,
}

impl ProjectLock {
    /// Acquires the lock. `Err` with the pid of the holder if another `rework dev` holds it.
    pub(crate) fn take(project: &Path) -> Result<ProjectLock, DevError> {
        let state = state_directory(project)?;
        let path = state.join("dev.lock");
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(DevError::system("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let written = lock
                    .set_len(0)
                    .and_then(|()| lock.rewind())
                    .and_then(|()| writeln!(lock, "{}", std::process::id()));
                written.map_err(DevError::system("write", &path))?;
                Ok(ProjectLock { info_path: state.join("dev.json"), _lock: lock })
            }
            Err((mut file, _)) => {
                let mut text = String::new();
                // If the pid cannot be read, the error shows 0.
                let _ = file.read_to_string(&mut text);
                let pid = text.trim().parse().unwrap_or(0);
                Err(DevError::AlreadyRunning { project: project.to_owned(), pid })
            }
        }
    }

    /// Returns the description that an earlier `rework dev` left behind. `None` if the earlier one exited normally.
    pub(crate) fn leftover(&self) -> Option<DevInfo> {
        discover::read(&self.info_path)
    }

    /// Writes the description of this `rework dev` for other commands.
    pub(crate) fn publish(&self, info: &DevInfo) -> Result<(), DevError> {
        let mut text = serde_json::to_string_pretty(info)
            .map_err(|error| DevError::system("write", &self.info_path)(error.into()))?;
        text.push('\n');
        let directory = self.info_path.parent().unwrap_or(Path::new("."));
        // Only the owner can read a temporary file, and `persist` keeps its mode. The DSN may contain a password.
        tempfile::NamedTempFile::new_in(directory)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.persist(&self.info_path).map_err(|error| error.error)
            })
            .map(drop)
            .map_err(DevError::system("write", &self.info_path))
    }
}

impl Drop for ProjectLock {
    fn drop(&mut self) {
        // Delete only a file of our own. A file that a killed `rework dev` left must stay until it is overwritten,
        // because it names the monitor that the next `rework dev` has to replace.
        if discover::read(&self.info_path)
            .is_some_and(|info| info.process.pid as u32 == std::process::id())
        {
            // If this fails, the file is ignored anyway, because its process is no longer alive.
            let _ = fs::remove_file(&self.info_path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use chrono::DateTime;

    use super::*;
    use crate::discover::{Process, find};

    fn info(process: Process) -> DevInfo {
        DevInfo {
            dsn: "postgres://rework@%2Ftmp/rework".into(),
            process,
            monitor: None,
            started_at: DateTime::from_timestamp(1_795_330_000, 0).unwrap(),
            data: Some("/var/lib/x".into()),
        }
    }

    fn ourselves() -> Process {
        Process::find(std::process::id() as i32).unwrap()
    }

    #[test]
    fn a_running_dev_is_found_from_the_directories_below() {
        let project = tempfile::tempdir().unwrap();
        let below = project.path().join("src/deep");
        fs::create_dir_all(&below).unwrap();
        assert_eq!(find(&below), None);
        let lock = ProjectLock::take(project.path()).unwrap();
        lock.publish(&info(ourselves())).unwrap();
        let found = find(&below).unwrap();
        assert_eq!(found.info, info(ourselves()));
        assert_eq!(found.project, fs::canonicalize(project.path()).unwrap());
        let mode = fs::metadata(project.path().join(".rework/dev.json")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "a given DSN may hold a password");
        drop(lock);
        assert_eq!(find(&below), None);
    }

    #[test]
    fn the_file_of_a_dead_process_is_ignored() {
        let project = tempfile::tempdir().unwrap();
        let lock = ProjectLock::take(project.path()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let theirs = Process::find(child.id() as i32).unwrap();
        lock.publish(&info(theirs)).unwrap();
        assert!(find(project.path()).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(find(project.path()), None);
        drop(lock);
        let lock = ProjectLock::take(project.path()).unwrap();
        assert_eq!(lock.leftover().unwrap().process, theirs, "kept until it is overwritten");
        let reused = Process { started: ourselves().started + 1, ..ourselves() };
        lock.publish(&info(reused)).unwrap();
        assert_eq!(find(project.path()), None);
    }

    #[test]
    fn the_error_of_a_second_dev_names_the_first_process() {
        let project = tempfile::tempdir().unwrap();
        let first = ProjectLock::take(project.path()).unwrap();
        let error = ProjectLock::take(project.path()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        ProjectLock::take(project.path()).unwrap();
    }
}
