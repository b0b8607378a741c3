//! How other commands find a running `rework dev`: it says in `PROJECT/.rework/dev.json` where its
//! database is, as long as it lives.
//!
//! The file is believed only while the process that wrote it lives, and only by the user who owns it:
//! whoever may write into a parent directory (`/tmp`) must not be able to lead our commands to a
//! database of theirs.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

/// The file below a project, in which a running `rework dev` describes itself.
const FILE: &str = ".rework/dev.json";

/// What a running `rework dev` says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its database.
    pub(crate) dsn: String,
    /// Its process.
    pub(crate) process: Process,
    /// Its monitor's process, once it runs.
    pub(crate) monitor: Option<Process>,
    /// When it came up.
    pub(crate) started_at: DateTime<Utc>,
    /// The data directory, where the Postgres is its own.
    pub(crate) data: Option<PathBuf>,
}

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: i32,
    /// When it started, in clock ticks since the boot.
    pub(crate) started: u64,
}

/// A running `rework dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The directory in which it was started.
    pub(crate) project: PathBuf,
    /// What it says about itself.
    pub(crate) running: Running,
}

/// The running `rework dev` of this directory or of the nearest one above it that has one.
pub(crate) fn find(from: &Path) -> Option<Found> {
    let from = fs::canonicalize(from).ok()?;
    from.ancestors().find_map(|directory| {
        let running = read(&directory.join(FILE))?;
        let project = directory.to_owned();
        running.process.lives().then_some(Found { project, running })
    })
}

impl Process {
    /// A process as it is now; none if there is no such process.
    pub(crate) fn look(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Process { pid, started: start_in(&stat)? })
    }

    /// Whether it is still there.
    pub(crate) fn lives(self) -> bool {
        Process::look(self.pid) == Some(self)
    }
}

/// What the `rework dev` that wrote this file said about itself; `None` if there is no such file of ours.
pub(crate) fn read(path: &Path) -> Option<Running> {
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

    #[test]
    fn the_start_time_is_read_whatever_the_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_in(&format!("12 (a) b (c)) {rest}")), Some(4711));
        assert_eq!(start_in(&format!("12 (x) {}", rest.replacen('S', "Z", 1))), None);
        assert_eq!(start_in("12"), None);
    }
}
