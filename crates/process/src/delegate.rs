//! Handing a cgroup v2 controller down to the folders below ours, so that each tree can have its
//! own limit.
//!
//! The kernel wants a cgroup that hands controllers down to hold no process itself (the root may).
//! If ours holds nobody but us, we leave it for a child of it; else it is not ours to change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::hierarchy::read_pids;

/// The child cgroup that this process moves into when its own must hold no process.
pub(crate) const LEAF: &str = "rework-monitor";

/// What was changed.
#[derive(Debug)]
pub(crate) struct HandedDown {
    place: PathBuf,
    /// None when somebody had done it before us: then it is not ours to undo.
    controller: Option<String>,
    leaf: Option<PathBuf>,
}

/// Has the folders below `place` count and limit what a controller is about.
pub(crate) fn hand_down(place: &Path, controller: &str) -> io::Result<HandedDown> {
    if !lists(&place.join("cgroup.controllers"), controller)? {
        let why = format!("the `{controller}` controller is not handed down to us");
        return Err(io::Error::other(why));
    }
    let mut done = HandedDown { place: place.to_owned(), controller: None, leaf: None };
    if lists(&control(place), controller)? {
        return Ok(done);
    }
    done.controller = Some(controller.to_owned());
    let enable = || fs::write(control(place), format!("+{controller}"));
    match enable() {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        other => return other.map(|()| done),
    }
    if read_pids(place)? != [std::process::id() as i32] {
        return Err(io::Error::other("our cgroup holds other processes too"));
    }
    let leaf = place.join(LEAF);
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

impl HandedDown {
    /// Leaves everything as it was found. What cannot be undone does no harm.
    pub(crate) fn undo(self) {
        if let Some(controller) = &self.controller {
            drop(fs::write(control(&self.place), format!("-{controller}")));
        }
        if let Some(leaf) = &self.leaf {
            drop(fs::write(self.place.join("cgroup.procs"), "0"));
            drop(fs::remove_dir(leaf));
        }
    }
}

fn control(place: &Path) -> PathBuf {
    place.join("cgroup.subtree_control")
}

fn lists(file: &Path, controller: &str) -> io::Result<bool> {
    Ok(fs::read_to_string(file)?.split_ascii_whitespace().any(|name| name == controller))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::own_v2;

    /// Any controller will do to show it; here it is the first that nobody has handed down yet.
    #[test]
    fn we_leave_a_cgroup_that_is_ours_alone_and_come_back() {
        let Some(home) = own_v2().filter(|home| fs::write(control(home), "").is_ok()) else {
            return;
        };
        let all = fs::read_to_string(home.join("cgroup.controllers")).unwrap();
        let Some(controller) = all.split_whitespace().next() else { return };
        let Ok(from_home) = hand_down(&home, controller) else { return };
        let place = home.join(format!("rework-test-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("cgroup.procs"), "0").unwrap();

        let done = hand_down(&place, controller).unwrap();
        assert_eq!(own_v2().unwrap(), place.join(LEAF));
        assert!(lists(&control(&place), controller).unwrap());
        fs::create_dir(place.join("tree")).unwrap();
        assert!(lists(&place.join("tree/cgroup.controllers"), controller).unwrap());
        fs::remove_dir(place.join("tree")).unwrap();

        done.undo();
        assert_eq!(own_v2().unwrap(), place);
        assert!(!lists(&control(&place), controller).unwrap());
        fs::write(home.join("cgroup.procs"), "0").unwrap();
        fs::remove_dir(&place).unwrap();
        from_home.undo();
    }
}
