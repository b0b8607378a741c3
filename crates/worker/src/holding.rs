//! What a worker holds: runs that it has claimed and whose ends are not recorded yet, each with a
//! place of its own in the page of begun runs. Whoever finds the worker dead reads there which of
//! them had begun.

use rework_core::task::{claim::Claimed, fence::Fence, row_location::Ctid};
use rework_wire::worker::PAGE_SLOTS;
use rustc_hash::FxHashMap;

use crate::recorder::ClaimedRun;

/// Where a run in hand stands.
#[derive(Debug)]
struct Spot {
    /// In the page.
    slot: u32,
    /// In the table, as long as it was not written again.
    ctid: Option<Ctid>,
}

/// The runs in hand, by (task, run).
#[derive(Debug)]
pub(crate) struct Holding {
    spots: FxHashMap<(i64, i64), Spot>,
    free: Vec<u32>,
}

impl Holding {
    /// Nothing yet.
    pub(crate) fn new() -> Holding {
        Holding { spots: FxHashMap::default(), free: (0..PAGE_SLOTS).rev().collect() }
    }

    /// How many more it may hold.
    pub(crate) fn room(&self) -> usize {
        self.free.len()
    }

    /// Whether this run is in hand.
    pub(crate) fn has(&self, fence: Fence) -> bool {
        self.spots.contains_key(&(fence.task, fence.run))
    }

    /// Where its row lies, where that is known.
    pub(crate) fn ctid(&self, fence: Fence) -> Option<Ctid> {
        self.spots.get(&(fence.task, fence.run))?.ctid
    }

    /// Its row is written, and lies elsewhere from then on.
    pub(crate) fn moved(&mut self, fence: Fence) {
        if let Some(spot) = self.spots.get_mut(&(fence.task, fence.run)) {
            spot.ctid = None;
        }
    }

    /// Takes a claimed task; none past the room there is.
    pub(crate) fn take(&mut self, claimed: Claimed) -> Option<ClaimedRun> {
        let slot = self.free.pop()?;
        self.spots.insert(
            (claimed.fence.task, claimed.fence.run),
            Spot { slot, ctid: Some(claimed.ctid) },
        );
        Some(ClaimedRun { claimed, slot })
    }

    /// The end of this run is recorded.
    pub(crate) fn end(&mut self, fence: Fence) {
        if let Some(spot) = self.spots.remove(&(fence.task, fence.run)) {
            self.free.push(spot.slot);
        }
    }
}
