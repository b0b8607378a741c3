//! The page: memory that a worker's runner, the worker and the monitor share. What a runner has begun
//! stands there before its first instruction runs, and survives them all.

use std::{
    collections::HashSet,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use rework_wire::worker::{PAGE_SLOTS, SLOT_BYTES};

const BYTES: usize = PAGE_SLOTS as usize * SLOT_BYTES as usize;

/// Our end of a page.
#[derive(Debug)]
pub(crate) struct Page(File);

impl Page {
    /// A new one, in which nothing has begun, and what the worker inherits of it.
    pub(crate) fn new() -> io::Result<(Page, OwnedFd)> {
        let file = File::from(memfd_create(c"rework-page", MFdFlags::MFD_CLOEXEC)?);
        file.set_len(BYTES as u64)?;
        let theirs = file.try_clone()?.into();
        Ok((Page(file), theirs))
    }

    /// What has begun, as far as the page says.
    pub(crate) fn begun(&self) -> Begun {
        let mut bytes = vec![0; BYTES];
        if self.0.read_exact_at(&mut bytes, 0).is_err() {
            return Begun::Unknown;
        }
        let numbers = bytes.as_chunks::<8>().0.iter().map(|number| i64::from_le_bytes(*number));
        let numbers: Vec<i64> = numbers.collect();
        let runs = numbers.as_chunks::<2>().0.iter().map(|[task, run]| (*task, *run));
        Begun::Runs(runs.filter(|(task, _)| *task != 0).collect())
    }
}

/// What a worker's runners have begun, of all that it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Nobody has seen the page.
    Unknown,
    /// These, as (task, run), and others that have ended.
    Runs(HashSet<(i64, i64)>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_writes_is_read_here() {
        let (page, theirs) = Page::new().unwrap();
        assert_eq!(page.begun(), Begun::Runs(HashSet::new()));
        let theirs = File::from(theirs);
        for (slot, task) in [(0, 7_i64), (PAGE_SLOTS - 1, 8)] {
            let bytes = [task.to_le_bytes(), 3_i64.to_le_bytes()].concat();
            theirs.write_all_at(&bytes, u64::from(slot) * SLOT_BYTES).unwrap();
        }
        assert_eq!(page.begun(), Begun::Runs([(7, 3), (8, 3)].into()));
    }
}
