//! The started runs: memory that this process shares with its worker and its monitor. It records which runs have
//! started, and the record survives the death of this process. A run that has not started can go back to the queue.

#![expect(
    unsafe_code,
    clippy::cast_ptr_alignment,
    reason = "memory that is shared with other processes"
)]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};

use memmap2::MmapRaw;
use rework_wire::worker::SLOT_BYTES;

const SLOT: usize = SLOT_BYTES as usize;

/// The mapped memory of the started runs. Recording a run is two stores, and no system call.
#[derive(Debug)]
pub(crate) struct StartedRuns(MmapRaw);

impl StartedRuns {
    pub(crate) fn map(file: &File) -> io::Result<StartedRuns> {
        Ok(StartedRuns(MmapRaw::map_raw(file)?))
    }

    /// Records in a slot, the place of one run in the memory, that the run starts. Returns `false`
    /// if the memory has no such slot.
    pub(crate) fn record(&self, slot: u32, (task, run): (i64, i64)) -> bool {
        let offset = slot as usize * SLOT;
        if offset + SLOT > self.0.len() {
            return false;
        }
        // SAFETY: both numbers lie within the map, which lives as long as `self`. The map starts at a page boundary
        // and slots are multiples of 16 bytes, so the numbers are aligned. This process accesses them by atomics only.
        let (first, second) = unsafe {
            let slot = self.0.as_mut_ptr().add(offset).cast::<i64>();
            (AtomicI64::from_ptr(slot), AtomicI64::from_ptr(slot.add(1)))
        };
        // A reader between the two stores finds this task with the run number that was in the slot before. That run is
        // not current, or by chance it is this run, which is about to start. In both cases the reader decides
        // correctly.
        first.store(task.to_le(), Ordering::Release);
        second.store(run.to_le(), Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_recorded_run_is_in_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(2 * SLOT_BYTES).unwrap();
        let started_runs = StartedRuns::map(&file).unwrap();
        assert!(started_runs.record(1, (7, 2)));
        assert!(!started_runs.record(2, (8, 1)), "there is no such slot");
        let mut bytes = [0; 2 * SLOT];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let numbers = bytes.as_chunks::<8>().0.iter().map(|number| i64::from_le_bytes(*number));
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 0, 7, 2]);
    }
}
