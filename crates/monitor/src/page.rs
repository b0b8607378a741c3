//! The page: sixteen bytes of memory that a worker's runner, the worker and the monitor share. What
//! a runner has begun stands there before its first instruction runs, and survives them all.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// Task and run, eight bytes each, little-endian.
const BYTES: usize = 16;

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
        let mut bytes = [0; BYTES];
        if self.0.read_exact_at(&mut bytes, 0).is_err() {
            return Begun::Unknown;
        }
        match bytes.as_chunks::<8>().0 {
            [task, run] if *task != [0; 8] => {
                Begun::Run { task: i64::from_le_bytes(*task), run: i64::from_le_bytes(*run) }
            }
            _ => Begun::Nothing,
        }
    }
}

/// What a worker's runner has begun last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Nobody has seen the page.
    Unknown,
    /// Nothing yet.
    Nothing,
    /// This.
    Run { task: i64, run: i64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_writes_is_read_here() {
        let (page, theirs) = Page::new().unwrap();
        assert_eq!(page.begun(), Begun::Nothing);
        let bytes = [7_i64.to_le_bytes(), 3_i64.to_le_bytes()].concat();
        File::from(theirs).write_all_at(&bytes, 0).unwrap();
        assert_eq!(page.begun(), Begun::Run { task: 7, run: 3 });
    }
}
