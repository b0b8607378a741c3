//! What a worker holds: runs that it has claimed and whose ends are not recorded yet, each with a
//! place of its own in the page of begun runs. Whoever finds the worker dead reads there which of
//! them had begun.

use rework_core::{
    claim::{Claimed, Fence},
    control::PAGE_SLOTS,
};
use rustc_hash::FxHashMap;

use crate::recorder::Held;

/// The runs in hand, by (task, run).
#[derive(Debug)]
pub(crate) struct Holding {
    slots: FxHashMap<(i64, i64), u32>,
    free: Vec<u32>,
}

impl Holding {
    /// Nothing yet.
    pub(crate) fn new() -> Holding {
        Holding { slots: FxHashMap::default(), free: (0..PAGE_SLOTS).rev().collect() }
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
    pub(crate) fn take(&mut self, claimed: Claimed) -> Option<Held> {
        let slot = self.free.pop()?;
        self.slots.insert((claimed.fence.task, claimed.fence.run), slot);
        Some(Held { claimed, slot })
    }

    /// The end of this run is recorded.
    pub(crate) fn end(&mut self, fence: Fence) {
        if let Some(slot) = self.slots.remove(&(fence.task, fence.run)) {
            self.free.push(slot);
        }
    }
}
