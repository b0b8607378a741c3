//! The leftovers of a dead worker, as far as they are needed to clean up after it: its process
//! trees and the runs that its runners had begun.

use rework_core::fleet::worker::Left;
use rework_process::Containment;
use rework_wire::worker::MemoryRung;
use uuid::Uuid;

use crate::page::Begun;

/// How to find the process trees of a worker, and the runs that it had begun.
#[derive(Debug, Clone)]
pub(crate) struct Leftovers {
    /// The mark that all processes of its trees carry.
    pub(crate) mark: Uuid,
    /// How its trees were contained.
    pub(crate) containment: Containment,
    pub(crate) begun: Begun,
}

impl Leftovers {
    /// For a worker that this monitor started.
    pub(crate) fn of_ours(mark: Uuid, containment: Containment) -> Leftovers {
        Leftovers { mark, containment, begun: Begun::Unknown }
    }

    /// For a worker that an earlier monitor left behind.
    pub(crate) fn of_left(left: &Left) -> Leftovers {
        let memory = match &left.memory_cgroup {
            Some(folder) => MemoryRung::CgroupV1(folder.clone()),
            None => MemoryRung::Sampled,
        };
        let containment = Containment::from_parts(left.cgroup.clone(), memory);
        Leftovers { mark: left.mark, containment, begun: Begun::Unknown }
    }
}
