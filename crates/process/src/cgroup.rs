//! One cgroup directory of a process tree: creating it, listing and killing its processes, and removing it.
//!
//! The directory may belong to cgroup v2 or to the v1 `memory` hierarchy. Where the hierarchies are mounted is in
//! `hierarchy.rs`.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::hierarchy::{parse_pids, read_pids};
use crate::pidfd;
use crate::process_set::try_signal;
use crate::procfs::{parse_tree_folder, running_process};

/// How long [`Cgroup::create`] waits for the processes of an old cgroup of the same name to end. A killed process
/// usually ends within a few milliseconds.
const LEFTOVER_TIMEOUT: Duration = Duration::from_millis(200);

/// How long dropping a tree may block, in order to remove its cgroup. It is short because the thread does nothing else
/// meanwhile.
const DROP_TIMEOUT: Duration = Duration::from_millis(20);

/// The cgroup directory of one tree in one hierarchy.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    /// The open directory. It stays open because it is read after every task.
    folder: File,
    /// The open file `cgroup.procs`. It stays open because it is read after every task, too.
    procs: File,
}

impl Cgroup {
    /// Creates the directory. If one with this name exists, kills its processes and replaces it.
    pub(crate) fn create(parent: &Path, name: &str) -> io::Result<Cgroup> {
        let path = parent.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                kill_and_remove(&path)?;
                fs::create_dir(&path)?;
            }
            other => other?,
        }
        let procs = File::options().read(true).write(true).open(path.join("cgroup.procs"));
        match procs.and_then(|procs| Ok((File::open(&path)?, procs))) {
            Ok((folder, procs)) => Ok(Cgroup { path, folder, procs }),
            Err(error) => {
                drop(fs::remove_dir(&path));
                Err(error)
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a descriptor of `cgroup.procs`. A process that writes `0` to it enters the cgroup.
    pub(crate) fn procs_fd(&self) -> io::Result<OwnedFd> {
        Ok(self.procs.try_clone()?.into())
    }

    /// Returns the pids of the processes in this cgroup and in all cgroups below it.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let mut pids = self.own_pids();
        for folder in self.subfolders() {
            pids.extend(pids_below(&folder));
        }
        pids
    }

    /// Returns whether a process runs in this cgroup or below it, including processes of other pid namespaces.
    pub(crate) fn is_populated(&self) -> bool {
        match fs::read_to_string(self.path.join("cgroup.events")) {
            Ok(events) => events.lines().any(|line| line == "populated 1"),
            // cgroup v1 has no such file, and a removed directory has no processes.
            Err(_) => !self.pids().is_empty(),
        }
    }

    /// Returns the CPU time used in this cgroup, in milliseconds. `None` with cgroup v1.
    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join("cpu.stat")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        Some(line.parse::<u64>().ok()? / 1000)
    }

    /// Kills all processes in this cgroup and below it.
    pub(crate) fn kill(&self) {
        kill_folder(&self.path);
    }

    /// Sends a signal to all processes in this cgroup and below it.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut members = self.pids().into_iter().filter_map(running_process);
        members.try_for_each(|key| pidfd::signal_process(key, signal))
    }

    /// Removes the directory of this cgroup and those of the cgroups below it. Fails with `ResourceBusy` while one of
    /// them has a process.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_folder(&self.path)
    }

    /// Removes the directory if its killed processes end within [`DROP_TIMEOUT`]. Otherwise leaves it for
    /// [`sweep`](crate::sweep()).
    pub(crate) fn remove_or_leave(&self) {
        drop(wait_to_remove(&self.path, DROP_TIMEOUT));
    }

    fn own_pids(&self) -> Vec<i32> {
        let mut text = Vec::new();
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = self.procs.read_at(&mut part, text.len() as u64) {
            text.extend_from_slice(&part[..read]);
        }
        parse_pids(&String::from_utf8_lossy(&text))
    }

    /// Returns the directories directly below this one. A directory without subdirectories has two links, so in the
    /// usual case nothing has to be read.
    fn subfolders(&self) -> Vec<PathBuf> {
        match self.folder.metadata() {
            Ok(metadata) if metadata.nlink() > 2 => subfolders(&self.path),
            _ => Vec::new(),
        }
    }
}

/// Returns the cgroup directories of all trees with this process tag.
pub(crate) fn tree_folders(parent: &Path, process_tag: &str) -> Vec<PathBuf> {
    let has_tag = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| parse_tree_folder(name.to_str()?))
            .is_some_and(|(tag, _)| tag == process_tag)
    };
    subfolders(parent).into_iter().filter(has_tag).collect()
}

/// Returns the pids of the processes in a cgroup directory and below it.
pub(crate) fn pids_below(folder: &Path) -> Vec<i32> {
    let mut pids = Vec::new();
    visit_bottom_up(folder, &mut |folder| pids.extend(read_pids(folder).unwrap_or_default()));
    pids
}

/// Kills all processes in a cgroup directory and below it: through `cgroup.kill` where the kernel has it, otherwise one
/// by one.
pub(crate) fn kill_folder(folder: &Path) {
    if fs::write(folder.join("cgroup.kill"), "1").is_err() {
        for key in pids_below(folder).into_iter().filter_map(running_process) {
            try_signal(key, Signal::SIGKILL);
        }
    }
}

/// Removes a cgroup directory and those below it. Fails with `ResourceBusy` while a process runs there. A missing
/// directory is not an error.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    let mut result = Ok(());
    visit_bottom_up(folder, &mut |folder| match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => result = Err(error),
        _ => {}
    });
    result
}

fn kill_and_remove(folder: &Path) -> io::Result<()> {
    kill_folder(folder);
    wait_to_remove(folder, LEFTOVER_TIMEOUT)
}

fn wait_to_remove(folder: &Path, timeout: Duration) -> io::Result<()> {
    let started_at = Instant::now();
    loop {
        match remove_folder(folder) {
            Err(_) if started_at.elapsed() < timeout => thread::sleep(Duration::from_millis(1)),
            result => return result,
        }
    }
}

/// Visits a directory after all directories below it, so that each one can be removed when it is visited.
fn visit_bottom_up(folder: &Path, act: &mut impl FnMut(&Path)) {
    for below in subfolders(folder) {
        visit_bottom_up(&below, act);
    }
    act(folder);
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
