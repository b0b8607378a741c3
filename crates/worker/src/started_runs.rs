//! The shared memory of started runs, as the worker uses it. Monitor, worker and runner share this
//! memory, and it survives SIGKILL of each of them. Every run that a worker holds has a slot there,
//! a piece of 16 bytes. Task id and run number are written to the slot before the first instruction
//! of the run's code. A runner of an SDK writes its slot itself; for a command the worker writes
//! it.

use std::{fs::File, io, os::unix::fs::FileExt};

use rework_core::task::fence::Fence;
use rework_wire::worker::SLOT_BYTES;

/// Records that a run has started.
pub(crate) fn record_started(started_runs: &File, slot: u32, fence: Fence) -> io::Result<()> {
    started_runs.write_all_at(&bytes(fence), offset(slot))
}

/// Records that no run of this slot has started. An error is only logged: it matters only if the worker dies before it
/// records the end of the run, which then counts as lost.
pub(crate) fn clear(started_runs: &File, slot: u32) {
    if let Err(error) = started_runs.write_all_at(&[0; SLOT_BYTES as usize], offset(slot)) {
        tracing::warn!("the slot of a run that did not start cannot be cleared: {error}");
    }
}

/// Returns whether the code of a run has started.
pub(crate) fn is_started(started_runs: &File, slot: u32, fence: Fence) -> bool {
    let mut found = [0; SLOT_BYTES as usize];
    started_runs.read_exact_at(&mut found, offset(slot)).is_ok() && found == bytes(fence)
}

fn bytes(fence: Fence) -> [u8; SLOT_BYTES as usize] {
    let mut bytes = [0; SLOT_BYTES as usize];
    bytes[..8].copy_from_slice(&fence.task.to_le_bytes());
    bytes[8..].copy_from_slice(&fence.run.to_le_bytes());
    bytes
}

fn offset(slot: u32) -> u64 {
    u64::from(slot) * SLOT_BYTES
}
