//! The page: memory that this process shares with its worker and its monitor. What it has begun stands
//! there, for whoever finds it dead.

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

/// The page, mapped: a note is two stores, and no call of the kernel.
#[derive(Debug)]
pub(crate) struct Page(MmapRaw);

impl Page {
    pub(crate) fn of(file: &File) -> io::Result<Page> {
        Ok(Page(MmapRaw::map_raw(file)?))
    }

    /// Notes that a run begins; false if the page has no such slot.
    pub(crate) fn note(&self, slot: u32, (task, run): (i64, i64)) -> bool {
        let place = slot as usize * SLOT;
        if place + SLOT > self.0.len() {
            return false;
        }
        // SAFETY: both numbers lie within the map, which lives as long as `self`; it begins at a page of
        // memory and slots are multiples of 16 bytes, so that they are aligned; and nobody in this
        // process reaches it but by atomics.
        let (first, second) = unsafe {
            let slot = self.0.as_mut_ptr().add(place).cast::<i64>();
            (AtomicI64::from_ptr(slot), AtomicI64::from_ptr(slot.add(1)))
        };
        // Who reads between the two finds this task with the number of another run: one that is not
        // current, or this very one, which is about to begin.
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
    fn a_note_is_in_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(2 * SLOT_BYTES).unwrap();
        let page = Page::of(&file).unwrap();
        assert!(page.note(1, (7, 2)));
        assert!(!page.note(2, (8, 1)), "there is no such slot");
        let mut bytes = [0; 2 * SLOT];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let numbers = bytes.as_chunks::<8>().0.iter().map(|number| i64::from_le_bytes(*number));
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 0, 7, 2]);
    }
}
