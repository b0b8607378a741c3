//! The slots of a worker in the shared memory of started runs. Each run that the worker holds
//! (claimed, and its end is not recorded) has a slot, the place in which its start is recorded.
//! When a monitor finds the worker dead, it reads there which of these runs had started.

use rework_core::task::{claim::ClaimedTask, fence::Fence};
use rework_wire::worker::STARTED_RUNS_SLOTS;
use rustc_hash::FxHashMap;

use crate::claimed_run::ClaimedRun;

/// The runs that the worker holds.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The slot of each run.
    slots: FxHashMap<Fence, u32>,
    /// The unused slots.
    free: Vec<u32>,
}

/// The slots of a worker that holds no run.
impl Default for Slots {
    fn default() -> Slots {
        Slots { slots: FxHashMap::default(), free: (0..STARTED_RUNS_SLOTS).rev().collect() }
    }
}

impl Slots {
    /// Returns the runs that the worker holds.
    pub(crate) fn runs(&self) -> Vec<Fence> {
        self.slots.keys().copied().collect()
    }

    /// Returns how many more runs the worker may hold.
    pub(crate) fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Assigns a slot to a claimed task. `None` if all slots are in use.
    pub(crate) fn assign(&mut self, claimed: ClaimedTask) -> Option<ClaimedRun> {
        let slot = self.free.pop()?;
        self.slots.insert(claimed.fence, slot);
        Some(ClaimedRun { claimed, slot })
    }

    /// Frees the slot of a run whose end is recorded.
    pub(crate) fn release(&mut self, fence: Fence) {
        if let Some(slot) = self.slots.remove(&fence) {
            self.free.push(slot);
        }
    }
}
