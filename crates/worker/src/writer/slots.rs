//! The runs that a worker holds: claimed, and their ends not recorded. Each has a slot in the page of started runs, from which a
//! monitor reads which of them had started when it finds the worker dead.

use rework_core::task::{claim::Claimed, fence::Fence};
use rework_wire::worker::PAGE_SLOTS;
use rustc_hash::FxHashMap;

use crate::claimed_run::ClaimedRun;

/// The runs in hand, by (task, run).
#[derive(Debug)]
pub(crate) struct Slots {
    /// The slot of each run in the page.
    slots: FxHashMap<(i64, i64), u32>,
    free: Vec<u32>,
}

impl Slots {
    /// Nothing yet.
    pub(crate) fn new() -> Slots {
        Slots { slots: FxHashMap::default(), free: (0..PAGE_SLOTS).rev().collect() }
    }

    /// How many more it may hold.
    pub(crate) fn room(&self) -> usize {
        self.free.len()
    }

    /// Whether this run is in hand.
    pub(crate) fn has(&self, fence: Fence) -> bool {
        self.slots.contains_key(&(fence.task, fence.run))
    }

    /// Takes a claimed task; none past the room there is.
    pub(crate) fn take(&mut self, claimed: Claimed) -> Option<ClaimedRun> {
        let slot = self.free.pop()?;
        self.slots.insert((claimed.fence.task, claimed.fence.run), slot);
        Some(ClaimedRun { claimed, slot })
    }

    /// The end of this run is recorded.
    pub(crate) fn end(&mut self, fence: Fence) {
        if let Some(slot) = self.slots.remove(&(fence.task, fence.run)) {
            self.free.push(slot);
        }
    }
}
