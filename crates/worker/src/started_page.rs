//! The page of started runs: memory that monitor, worker and runner share. Each run that a worker holds has a slot
//! there, in which (task, run) is written before the first instruction of its code. The page survives
//! SIGKILL of any of them.

use std::{fs::File, io, os::unix::fs::FileExt};

use rework_core::task::fence::Fence;
use rework_wire::worker::SLOT_BYTES;

/// Writes that a run has started.
pub(crate) fn note_started(page: &File, slot: u32, fence: Fence) -> io::Result<()> {
    page.write_all_at(&bytes(fence), offset(slot))
}

/// Whether the code of a run has started.
pub(crate) fn is_started(page: &File, slot: u32, fence: Fence) -> bool {
    let mut found = [0; SLOT_BYTES as usize];
    page.read_exact_at(&mut found, offset(slot)).is_ok() && found == bytes(fence)
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
