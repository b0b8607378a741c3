//! Enabling a cgroup v2 controller for the cgroups below ours, so that each process tree can have its own limit.
//!
//! The kernel requires that a cgroup with enabled controllers holds no process itself; only the root cgroup may. If
//! this process is the only one in its cgroup, it moves into a child cgroup first. If there are others, the cgroup is
//! shared and stays unchanged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::hierarchy::read_pids;

/// The child cgroup that this process moves into when its own cgroup must not hold a process.
pub(crate) const LEAF: &str = "rework-monitor";

/// The changes that [`enable_controller`] made, so that they can be undone.
#[derive(Debug)]
pub(crate) struct EnabledController {
    folder: PathBuf,
    /// The enabled controller. `None` if it was enabled before: then it must stay enabled.
    controller: Option<String>,
    /// The child cgroup that this process has moved into. `None` if it did not move.
    leaf: Option<PathBuf>,
}

/// Enables a controller, such as `memory`, for the cgroups below `folder`.
pub(crate) fn enable_controller(folder: &Path, controller: &str) -> io::Result<EnabledController> {
    if !contains_word(&folder.join("cgroup.controllers"), controller)? {
        let reason = format!("the `{controller}` controller is not delegated to our cgroup");
        return Err(io::Error::other(reason));
    }
    let mut done = EnabledController { folder: folder.to_owned(), controller: None, leaf: None };
    if contains_word(&subtree_control(folder), controller)? {
        return Ok(done);
    }
    done.controller = Some(controller.to_owned());
    let enable = || fs::write(subtree_control(folder), format!("+{controller}"));
    match enable() {
        // The cgroup holds processes. If it holds this one alone, the code below moves it.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        other => return other.map(|()| done),
    }
    if read_pids(folder)? != [std::process::id() as i32] {
        return Err(io::Error::other("our cgroup also holds other processes"));
    }
    let leaf = folder.join(LEAF);
    if !leaf.exists() {
        fs::create_dir(&leaf)?;
    }
    let entered = fs::write(leaf.join("cgroup.procs"), "0");
    done.leaf = Some(leaf);
    if let Err(error) = entered.and_then(|()| enable()) {
        done.undo();
        return Err(error);
    }
    Ok(done)
}

impl EnabledController {
    /// Restores the state before [`enable_controller`]. Errors are ignored: an enabled controller does no harm.
    pub(crate) fn undo(self) {
        if let Some(controller) = &self.controller {
            drop(fs::write(subtree_control(&self.folder), format!("-{controller}")));
        }
        if let Some(leaf) = &self.leaf {
            drop(fs::write(self.folder.join("cgroup.procs"), "0"));
            drop(fs::remove_dir(leaf));
        }
    }
}

fn subtree_control(folder: &Path) -> PathBuf {
    folder.join("cgroup.subtree_control")
}

fn contains_word(file: &Path, word: &str) -> io::Result<bool> {
    Ok(fs::read_to_string(file)?.split_ascii_whitespace().any(|name| name == word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::own_v2;

    /// Uses the first controller that the kernel offers: every controller behaves the same.
    #[test]
    fn a_process_alone_in_its_cgroup_moves_into_a_child_and_back() {
        let Some(home) = own_v2().filter(|home| fs::write(subtree_control(home), "").is_ok())
        else {
            return;
        };
        let all = fs::read_to_string(home.join("cgroup.controllers")).unwrap();
        let Some(controller) = all.split_whitespace().next() else { return };
        let Ok(enabled_at_home) = enable_controller(&home, controller) else { return };
        let folder = home.join(format!("rework-test-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("cgroup.procs"), "0").unwrap();

        let done = enable_controller(&folder, controller).unwrap();
        assert_eq!(own_v2().unwrap(), folder.join(LEAF));
        assert!(contains_word(&subtree_control(&folder), controller).unwrap());
        fs::create_dir(folder.join("tree")).unwrap();
        assert!(contains_word(&folder.join("tree/cgroup.controllers"), controller).unwrap());
        fs::remove_dir(folder.join("tree")).unwrap();

        done.undo();
        assert_eq!(own_v2().unwrap(), folder);
        assert!(!contains_word(&subtree_control(&folder), controller).unwrap());
        fs::write(home.join("cgroup.procs"), "0").unwrap();
        fs::remove_dir(&folder).unwrap();
        enabled_at_home.undo();
    }
}
