//! At most one `rework dev` runs in a project. A lock sees to that, which the kernel gives back however
//! its holder ends. The holder writes the file by which other commands [find](crate::discover) it.

use std::{
    fs::{self, File},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};

use super::{error::DevError, layout::state_directory};
use crate::discover::{self, Running};

/// The right to be the `rework dev` of a project.
#[derive(Debug)]
pub(crate) struct Claim {
    file: PathBuf,
    _lock: Flock<File>,
}

impl Claim {
    /// Takes it, unless somebody has it.
    pub(crate) fn take(project: &Path) -> Result<Claim, DevError> {
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
                Ok(Claim { file: state.join("dev.json"), _lock: lock })
            }
            Err((mut file, _)) => {
                let mut text = String::new();
                // Without a number the sentence is poorer, and still true.
                let _ = file.read_to_string(&mut text);
                let pid = text.trim().parse().unwrap_or(0);
                Err(DevError::AlreadyRunning { project: project.to_owned(), pid })
            }
        }
    }

    /// What the last one said, if it did not end in order.
    pub(crate) fn left(&self) -> Option<Running> {
        discover::read(&self.file)
    }

    /// Says it to the other commands.
    pub(crate) fn publish(&self, running: &Running) -> Result<(), DevError> {
        let mut text = serde_json::to_string_pretty(running)
            .map_err(|error| DevError::system("write", &self.file)(error.into()))?;
        text.push('\n');
        let directory = self.file.parent().unwrap_or(Path::new("."));
        // A temporary file is readable by its owner alone, and so is what it becomes.
        tempfile::NamedTempFile::new_in(directory)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.persist(&self.file).map_err(|error| error.error)
            })
            .map(drop)
            .map_err(DevError::system("write", &self.file))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What a killed one left is kept until we have said something ourselves: it names the
        // monitor that is still to be replaced. Nobody else believes it.
        if discover::read(&self.file)
            .is_some_and(|running| running.process.pid as u32 == std::process::id())
        {
            // A file that stays is not believed either, once we are gone.
            let _ = fs::remove_file(&self.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use chrono::DateTime;

    use super::*;
    use crate::discover::{Process, find};

    fn running(process: Process) -> Running {
        Running {
            dsn: "postgres://rework@%2Ftmp/rework".into(),
            process,
            monitor: None,
            started_at: DateTime::from_timestamp(1_795_330_000, 0).unwrap(),
            data: Some("/var/lib/x".into()),
        }
    }

    fn ourselves() -> Process {
        Process::look(std::process::id() as i32).unwrap()
    }

    #[test]
    fn it_is_found_from_below_as_long_as_it_runs() {
        let project = tempfile::tempdir().unwrap();
        let below = project.path().join("src/deep");
        fs::create_dir_all(&below).unwrap();
        assert_eq!(find(&below), None);
        let claim = Claim::take(project.path()).unwrap();
        claim.publish(&running(ourselves())).unwrap();
        let found = find(&below).unwrap();
        assert_eq!(found.running, running(ourselves()));
        assert_eq!(found.project, fs::canonicalize(project.path()).unwrap());
        let mode = fs::metadata(project.path().join(".rework/dev.json")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "a given DSN may hold a password");
        drop(claim);
        assert_eq!(find(&below), None);
    }

    #[test]
    fn what_a_dead_one_said_is_not_believed() {
        let project = tempfile::tempdir().unwrap();
        let claim = Claim::take(project.path()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let theirs = Process::look(child.id() as i32).unwrap();
        claim.publish(&running(theirs)).unwrap();
        assert!(find(project.path()).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(find(project.path()), None);
        drop(claim);
        let claim = Claim::take(project.path()).unwrap();
        assert_eq!(claim.left().unwrap().process, theirs, "until we have said something");
        let reused = Process { started: ourselves().started + 1, ..ourselves() };
        claim.publish(&running(reused)).unwrap();
        assert_eq!(find(project.path()), None);
    }

    #[test]
    fn the_second_is_told_the_number_of_the_first() {
        let project = tempfile::tempdir().unwrap();
        let first = Claim::take(project.path()).unwrap();
        let error = Claim::take(project.path()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Claim::take(project.path()).unwrap();
    }
}
