//! What a dead worker left behind, killed by whoever is left to see it: its monitor, else the
//! host's next monitor.

use std::path::PathBuf;
use std::time::Duration;

use rework_wire::worker::MemoryRung;

use crate::cgroup::{folders_of, kill_folder, pids_below};
use crate::containment::Containment;
use crate::descendants::{add_below, add_carrying};
use crate::found::Found;
use crate::kill::{self, Unkillable};
use crate::offspring::adopted;

/// Kills every tree of a worker that is dead, and tells how many processes there were: what is in
/// its cgroups, what carries its mark, what is below those, and the orphans that we adopted. The
/// folders are removed.
///
/// `containment` is that of the worker, and not always what this process would have now.
pub async fn sweep(
    containment: &Containment,
    mark: &str,
    patience: Duration,
) -> Result<usize, Unkillable> {
    let v1 = match &containment.memory {
        MemoryRung::CgroupV1(place) => Some(PathBuf::from(place)),
        MemoryRung::CgroupV2 | MemoryRung::Sampled => None,
    };
    let places = containment.cgroup.iter().chain(&v1);
    let folders: Vec<PathBuf> = places.flat_map(|place| folders_of(place, mark)).collect();
    let killed = kill::until_gone(patience, |found| look(&folders, mark, found)).await?;
    for folder in &folders {
        kill::remove(folder).await;
    }
    Ok(killed)
}

/// Descendants are taken along at once: those that have thrown off the mark could not be told from
/// strangers when their parents are dead.
fn look(folders: &[PathBuf], mark: &str, found: &mut Found) {
    for folder in folders {
        let members = pids_below(folder);
        if !members.is_empty() {
            found.add_pids(members);
            // The kernel kills a cgroup before any of its processes can fork again.
            kill_folder(folder);
        }
    }
    add_carrying(|found, _| found == mark, found);
    for orphan in adopted() {
        found.add(orphan);
    }
    for head in found.all().clone() {
        add_below(head.pid, found);
    }
}
