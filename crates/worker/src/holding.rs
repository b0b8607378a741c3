//! What a worker holds: runs that it has claimed and whose ends are not recorded yet, each with a
//! place of its own in the page of begun runs. Whoever finds the worker dead reads there which of
//! them had begun.

use rework_core::{
    claim::{Claimed, Fence},
    control::PAGE_SLOTS,
    ctid::Ctid,
};
use rustc_hash::FxHashMap;

use crate::recorder::Held;

/// Where a run in hand is noted: in the page, and in the table.
#[derive(Debug)]
struct Place {
    slot: u32,
    ctid: Ctid,
}

/// The runs in hand, by (task, run).
#[derive(Debug)]
pub(crate) struct Holding {
    places: FxHashMap<(i64, i64), Place>,
    free: Vec<u32>,
}

impl Holding {
    /// Nothing yet.
    pub(crate) fn new() -> Holding {
        Holding { places: FxHashMap::default(), free: (0..PAGE_SLOTS).rev().collect() }
    }

    /// How many more it may hold.
    pub(crate) fn room(&self) -> usize {
        self.free.len()
    }

    /// Whether this run is in hand.
    pub(crate) fn has(&self, fence: Fence) -> bool {
        self.places.contains_key(&(fence.task, fence.run))
    }

    /// Where its row lay when it was claimed.
    pub(crate) fn ctid(&self, fence: Fence) -> Option<Ctid> {
        self.places.get(&(fence.task, fence.run)).map(|place| place.ctid)
    }

    /// Takes a claimed task; none past the room there is.
    pub(crate) fn take(&mut self, claimed: Claimed) -> Option<Held> {
        let slot = self.free.pop()?;
        let place = Place { slot, ctid: claimed.ctid };
        self.places.insert((claimed.fence.task, claimed.fence.run), place);
        Some(Held { claimed, slot })
    }

    /// The end of this run is recorded.
    pub(crate) fn end(&mut self, fence: Fence) {
        if let Some(place) = self.places.remove(&(fence.task, fence.run)) {
            self.free.push(place.slot);
        }
    }
}
