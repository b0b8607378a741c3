//! The leftovers of a dead worker: everything that the cleanup needs to find its process trees and to record the ends
//! of its runs.

use rework_core::fleet::worker::AbandonedWorker;
use rework_process::Containment;
use rework_wire::worker::MemoryMethod;
use uuid::Uuid;

use crate::started_runs::KnownStarts;

/// The leftovers of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Leftovers {
    /// The tag that all processes of the worker's trees carry.
    pub(crate) process_tag: Uuid,
    /// The containment of the worker's trees.
    pub(crate) containment: Containment,
    /// The runs that the worker's runners have started.
    pub(crate) started: KnownStarts,
}

impl Leftovers {
    /// Creates the leftovers of a worker that this monitor started.
    pub(crate) fn of_own(process_tag: Uuid, containment: Containment) -> Leftovers {
        Leftovers { process_tag, containment, started: KnownStarts::Unknown }
    }

    /// Creates the leftovers of a worker that an earlier monitor left behind.
    pub(crate) fn of_abandoned(worker: &AbandonedWorker) -> Leftovers {
        // Only the v1 directory is needed to find the processes: cgroup v2 is in `cgroup` already.
        let memory = match &worker.memory_cgroup {
            Some(folder) => MemoryMethod::CgroupV1(folder.clone()),
            None => MemoryMethod::Sampled,
        };
        let containment = Containment::from_parts(worker.cgroup.clone(), memory);
        Leftovers { process_tag: worker.process_tag, containment, started: KnownStarts::Unknown }
    }
}
