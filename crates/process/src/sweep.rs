//! Sweeping after a dead worker: killing every process of its trees, and removing its cgroups. The worker's monitor
//! does this, or the next monitor of the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rework_wire::worker::MemoryMethod;

use crate::cgroup::{
    all_tree_folders, kill_folder, pids_below, remove_folder, tree_folders,
};
use crate::child_registry::adopted;
use crate::containment::Containment;
use crate::descendants::{add_descendants, add_tagged};
use crate::kill::{self, Unkillable};
use crate::process_set::ProcessSet;

/// Kills every tree of a dead worker and removes its cgroups. Returns the number of killed
/// processes. `Err` if processes are left after `timeout`.
///
/// The members are the processes in the worker's cgroups, the processes that carry its tag, the orphans that this
/// process adopted, and all their descendants. `containment` is the containment of the worker; this process may have
/// another one.
pub async fn sweep(
    containment: &Containment,
    process_tag: &str,
    timeout: Duration,
) -> Result<usize, Unkillable> {
    let parents = parents(containment);
    let folders: Vec<PathBuf> =
        parents.iter().flat_map(|parent| tree_folders(parent, process_tag)).collect();
    let search = |processes: &mut ProcessSet| add_members(&folders, process_tag, processes);
    let killed = kill::kill_until_none(timeout, search).await?;
    for folder in &folders {
        kill::remove_cgroup(folder).await;
    }
    Ok(killed)
}

/// Removes the empty cgroups of trees that are at least `min_age` old. `is_alive` returns whether the worker with a
/// process tag may still use its cgroups; those are left alone. Returns the number of removed cgroups.
pub fn remove_empty_cgroups(
    containment: &Containment,
    min_age: Duration,
    is_alive: impl Fn(&str) -> bool,
) -> usize {
    let parents = parents(containment);
    let folders = parents.iter().flat_map(|parent| all_tree_folders(parent));
    folders
        .filter(|(process_tag, folder)| {
            // The kernel refuses to remove a cgroup with a process, so none is removed while it is used.
            !is_alive(process_tag)
                && is_older(folder, min_age)
                && pids_below(folder).is_empty()
                && remove_folder(folder).is_ok()
        })
        .count()
}

fn is_older(folder: &Path, min_age: Duration) -> bool {
    let modified = fs::metadata(folder).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age >= min_age))
}

/// Returns the directories in which the cgroups of trees are created.
fn parents(containment: &Containment) -> Vec<PathBuf> {
    let v1 = match &containment.memory {
        MemoryMethod::CgroupV1(folder) => Some(PathBuf::from(folder)),
        MemoryMethod::CgroupV2 | MemoryMethod::Sampled => None,
    };
    containment.cgroup.iter().cloned().chain(v1).collect()
}

/// Adds all members of the worker's trees.
///
/// Descendants are added in the same search: a descendant without the tag can only be recognised while its parent
/// lives.
fn add_members(folders: &[PathBuf], process_tag: &str, processes: &mut ProcessSet) {
    for folder in folders {
        let members = pids_below(folder);
        if !members.is_empty() {
            processes.add_pids(members);
            // The kernel kills all processes of a cgroup before any of them can fork again.
            kill_folder(folder);
        }
    }
    add_tagged(|tag, _| tag == process_tag, processes);
    for orphan in adopted() {
        processes.add(orphan);
    }
    for member in processes.keys().clone() {
        add_descendants(member.pid, processes);
    }
}
