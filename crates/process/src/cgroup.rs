//! One cgroup folder of a tree: what is in it, how all of that dies, how the folder goes.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::found::strike;
use crate::hierarchy::{parse_pids, read_pids};
use crate::pidfd;
use crate::procfs::{parse_folder, seen_alive};

/// How long a folder that was left over under the same name may take to die.
const LEFTOVER_PATIENCE: Duration = Duration::from_millis(200);

/// How long a tree that is dropped before its time holds us up.
const DROP_PATIENCE: Duration = Duration::from_millis(20);

/// The folder of one tree in one hierarchy.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    /// The folder and its `cgroup.procs`, kept open: both are looked at after every task.
    folder: File,
    procs: File,
}

impl Group {
    /// Makes the folder anew: whatever was left over under its name is killed.
    pub(crate) fn make(parent: &Path, name: &str) -> io::Result<Group> {
        let path = parent.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                clear(&path)?;
                fs::create_dir(&path)?;
            }
            other => other?,
        }
        let procs = File::options().read(true).write(true).open(path.join("cgroup.procs"));
        match procs.and_then(|procs| Ok((File::open(&path)?, procs))) {
            Ok((folder, procs)) => Ok(Group { path, folder, procs }),
            Err(error) => {
                drop(fs::remove_dir(&path));
                Err(error)
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a process writes `0` to enter.
    pub(crate) fn entry(&self) -> io::Result<OwnedFd> {
        Ok(self.procs.try_clone()?.into())
    }

    /// The pids of what is in it and below it.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let mut pids = self.own_pids();
        for folder in self.subfolders() {
            pids.extend(pids_below(&folder));
        }
        pids
    }

    /// Whether anything runs in it or below it, also in other pid namespaces.
    pub(crate) fn is_populated(&self) -> bool {
        match fs::read_to_string(self.path.join("cgroup.events")) {
            Ok(events) => events.lines().any(|line| line == "populated 1"),
            // v1 has no such file, and a folder that is gone has no process.
            Err(_) => !self.pids().is_empty(),
        }
    }

    /// CPU time that was used in it, in milliseconds; v2 only.
    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join("cpu.stat")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        Some(line.parse::<u64>().ok()? / 1000)
    }

    /// Kills everything in it and below it.
    pub(crate) fn kill(&self) {
        kill_folder(&self.path);
    }

    /// Sends a signal to everything in it and below it.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut members = self.pids().into_iter().filter_map(seen_alive);
        members.try_for_each(|seen| pidfd::strike(seen, signal))
    }

    /// Removes the folder and those below it; `ResourceBusy` while something runs there.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_folder(&self.path)
    }

    /// Removes the folder when what was killed there is gone, and waits for that only briefly; else
    /// it is left for a sweep.
    pub(crate) fn remove_soon(&self) {
        drop(wait_to_remove(&self.path, DROP_PATIENCE));
    }

    fn own_pids(&self) -> Vec<i32> {
        let mut text = Vec::new();
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = self.procs.read_at(&mut part, text.len() as u64) {
            text.extend_from_slice(&part[..read]);
        }
        parse_pids(&String::from_utf8_lossy(&text))
    }

    /// A look at the number of links spares the reading of a folder that has none.
    fn subfolders(&self) -> Vec<PathBuf> {
        match self.folder.metadata() {
            Ok(found) if found.nlink() > 2 => subfolders(&self.path),
            _ => Vec::new(),
        }
    }
}

/// The folders of the trees of a mark.
pub(crate) fn folders_of(parent: &Path, mark: &str) -> Vec<PathBuf> {
    let is_wanted = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| parse_folder(name.to_str()?))
            .is_some_and(|(found, _)| found == mark)
    };
    subfolders(parent).into_iter().filter(is_wanted).collect()
}

/// The pids of what is in a folder and below it.
pub(crate) fn pids_below(folder: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    visit(folder, &mut |folder| found.extend(read_pids(folder).unwrap_or_default()));
    found
}

/// Kills everything in a folder and below it: at once where the kernel can, else one by one.
pub(crate) fn kill_folder(folder: &Path) {
    if fs::write(folder.join("cgroup.kill"), "1").is_err() {
        for seen in pids_below(folder).into_iter().filter_map(seen_alive) {
            strike(seen, Signal::SIGKILL);
        }
    }
}

/// Removes a folder and those below it; `ResourceBusy` while something runs there. A folder that
/// is gone is no error.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    let mut result = Ok(());
    visit(folder, &mut |folder| match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => result = Err(error),
        _ => {}
    });
    result
}

fn clear(folder: &Path) -> io::Result<()> {
    kill_folder(folder);
    wait_to_remove(folder, LEFTOVER_PATIENCE)
}

fn wait_to_remove(folder: &Path, patience: Duration) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match remove_folder(folder) {
            Err(_) if began.elapsed() < patience => thread::sleep(Duration::from_millis(1)),
            result => return result,
        }
    }
}

/// Those below first, so that each can be removed when it is visited.
fn visit(folder: &Path, act: &mut impl FnMut(&Path)) {
    for below in subfolders(folder) {
        visit(&below, act);
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
