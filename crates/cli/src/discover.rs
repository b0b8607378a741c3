//! Finds the running `rework dev` of a directory, so that other commands can use its database.
//!
//! A running `rework dev` describes itself in the file `PROJECT/.rework/dev.json` (`dev/project_lock.rs` writes it).
//! The file counts only while the process that wrote it is alive, and only if it belongs to the current user.
//! Otherwise another user who may write to a parent directory such as `/tmp` could direct our commands to their own
//! database.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use nix::{
    sys::signal::kill,
    unistd::{Pid, geteuid},
};
use serde::{Deserialize, Serialize};

/// The path of the file below the project directory.
const FILE: &str = ".rework/dev.json";

/// The contents of `dev.json`: how a running `rework dev` describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DevInfo {
    /// The DSN of the database of `rework dev`.
    pub(crate) dsn: String,
    /// The process of `rework dev`.
    pub(crate) process: Process,
    /// The process of the monitor of `rework dev`. `None` if the monitor had already exited.
    pub(crate) monitor: Option<Process>,
    pub(crate) started_at: DateTime<Utc>,
    /// The data directory of the private Postgres. `None` if `rework dev` uses a database that it
    /// was given.
    pub(crate) data: Option<PathBuf>,
}

/// The identity of a process. The start time distinguishes it from a later process with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// The start time in clock ticks since the boot.
    pub(crate) started: u64,
}

/// A running `rework dev` and its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiscoveredDev {
    /// The directory in which `rework dev` was started.
    pub(crate) project: PathBuf,
    pub(crate) info: DevInfo,
}

/// Returns the running `rework dev` of the directory `from`, or else that of its nearest parent
/// directory that has one. `None` if there is none.
pub(crate) fn find(from: &Path) -> Option<DiscoveredDev> {
    let from = fs::canonicalize(from).ok()?;
    from.ancestors().find_map(|directory| {
        let info = read(&directory.join(FILE))?;
        let project = directory.to_owned();
        info.process.may_be_alive().then_some(DiscoveredDev { project, info })
    })
}

impl Process {
    /// Returns the process that has this pid now. `None` if there is none, or if it is a zombie.
    pub(crate) fn find(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Process { pid, started: start_time(&stat)? })
    }

    /// Returns whether the process may still run. If `/proc` hides it (the mount option `hidepid`), only its pid is
    /// known.
    fn may_be_alive(self) -> bool {
        let is_hidden = || {
            !Path::new(&format!("/proc/{}", self.pid)).exists()
                && kill(Pid::from_raw(self.pid), None).is_ok()
                && rework_process::is_running(self.pid)
        };
        self.is_alive() || is_hidden()
    }

    /// Returns whether the process still runs.
    pub(crate) fn is_alive(self) -> bool {
        Process::find(self.pid) == Some(self)
    }
}

/// Reads a `dev.json`. `None` if the file is missing or invalid, or belongs to another user.
pub(crate) fn read(path: &Path) -> Option<DevInfo> {
    let file = File::open(path).ok()?;
    // The metadata of the open file, not of the path: another user could replace the file in between.
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.uid() != geteuid().as_raw() {
        return None;
    }
    serde_json::from_reader(file).ok()
}

/// Returns the start time in the contents of `/proc/PID/stat`. `None` if the process is a zombie.
fn start_time(stat: &str) -> Option<u64> {
    // The name of the process is in parentheses and may itself contain parentheses and spaces, so the fields are read
    // after the last parenthesis.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    // In `proc_pid_stat(5)` the state is field 3 and the start time is field 22. After the state, 18 fields come
    // before the start time.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_after_any_process_name() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_time(&format!("12 (a) b (c)) {fields}")), Some(4711));
        assert_eq!(start_time(&format!("12 (x) {}", fields.replacen('S', "Z", 1))), None);
        assert_eq!(start_time("12"), None);
    }
}
