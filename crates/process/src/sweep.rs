//! Sweeping after a dead worker: killing every process of its trees. The worker's monitor does this, or the next
//! monitor of the host.

use std::path::PathBuf;
use std::time::Duration;

use rework_wire::worker::MemoryMethod;

use crate::cgroup::{kill_folder, pids_below, tree_folders};
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
    let v1 = match &containment.memory {
        MemoryMethod::CgroupV1(folder) => Some(PathBuf::from(folder)),
        MemoryMethod::CgroupV2 | MemoryMethod::Sampled => None,
    };
    let parents = containment.cgroup.iter().chain(&v1);
    let folders: Vec<PathBuf> =
        parents.flat_map(|parent| tree_folders(parent, process_tag)).collect();
    let search = |processes: &mut ProcessSet| add_members(&folders, process_tag, processes);
    let killed = kill::kill_until_none(timeout, search).await?;
    for folder in &folders {
        kill::remove_cgroup(folder).await;
    }
    Ok(killed)
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
