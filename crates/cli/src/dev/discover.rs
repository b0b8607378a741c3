//! How other commands find a running `rework dev`: it says in `PROJECT/.rework/dev.json` where its
//! database is, as long as it lives.
//!
//! That there is at most one in a project is the work of a lock, which the kernel gives back
//! however the holder ends. The file is believed only while the process that wrote it lives, and
//! only by the user who owns it: whoever may write into a parent directory (`/tmp`) must not be
//! able to lead our commands to a database of theirs.

use std::{
    fs::{self, File},
    io::{Read, Seek, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use nix::{
    fcntl::{Flock, FlockArg},
    unistd::geteuid,
};
use serde::{Deserialize, Serialize};

use super::{error::DevError, place::state_directory};

/// What a running `rework dev` says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its database.
    pub dsn: String,
    pub process: Process,
    /// Its monitor's process, once it runs.
    pub monitor: Option<Process>,
    /// When it came up.
    pub started_at: DateTime<Utc>,
    /// The data directory, where the Postgres is its own.
    pub data: Option<PathBuf>,
}

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since the boot.
    pub started: u64,
}

/// A running `rework dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The directory in which it was started.
    pub project: PathBuf,
    /// What it says about itself.
    pub running: Running,
}

/// The running `rework dev` of this directory or of the nearest one above it that has one.
pub fn find(from: &Path) -> Option<Found> {
    let from = fs::canonicalize(from).ok()?;
    from.ancestors().find_map(|directory| {
        let running = said(&directory.join(".rework/dev.json"))?;
        let project = directory.to_owned();
        running.process.lives().then_some(Found { project, running })
    })
}

impl Process {
    /// A process as it is now; none if there is no such process.
    pub fn look(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Process { pid, started: start_in(&stat)? })
    }

    /// Whether it is still there.
    pub fn lives(self) -> bool {
        Process::look(self.pid) == Some(self)
    }
}

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
        said(&self.file)
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
        if said(&self.file).is_some_and(|said| said.process.pid as u32 == std::process::id()) {
            // A file that stays is not believed either, once we are gone.
            let _ = fs::remove_file(&self.file);
        }
    }
}

fn said(path: &Path) -> Option<Running> {
    let file = File::open(path).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.uid() != geteuid().as_raw() {
        return None;
    }
    serde_json::from_reader(file).ok()
}

/// The start time of a process that is no zombie. The name before it may hold anything, brackets
/// and spaces too.
fn start_in(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    // The state is field 3 of `proc_pid_stat(5)`, the start time is field 22.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_start_time_is_read_whatever_the_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_in(&format!("12 (a) b (c)) {rest}")), Some(4711));
        assert_eq!(start_in(&format!("12 (x) {}", rest.replacen('S', "Z", 1))), None);
        assert_eq!(start_in("12"), None);
    }
}
