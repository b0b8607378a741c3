//! The started runs: memory that a worker's runners, the worker and the monitor share. A runner writes there that a run
//! starts, before the first instruction of the operation. The monitor reads it after the death of the worker, in order
//! to distinguish lost runs from those that had not started.

use std::{
    collections::HashSet,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use rework_wire::worker::{SLOT_BYTES, STARTED_RUNS_SLOTS};

/// The size of the memory in bytes: one slot for each run that a worker may have at a time.
const BYTES: usize = STARTED_RUNS_SLOTS as usize * SLOT_BYTES as usize;

/// The monitor's handle to the shared memory of one worker.
#[derive(Debug)]
pub(crate) struct StartedRuns(File);

impl StartedRuns {
    /// Creates the shared memory, without started runs. Also returns the descriptor that the worker inherits.
    pub(crate) fn new() -> io::Result<(StartedRuns, OwnedFd)> {
        let file = File::from(memfd_create(c"rework-started-runs", MFdFlags::MFD_CLOEXEC)?);
        file.set_len(BYTES as u64)?;
        let for_worker = file.try_clone()?.into();
        Ok((StartedRuns(file), for_worker))
    }

    /// Reads the started runs.
    pub(crate) fn read(&self) -> KnownStarts {
        let mut bytes = vec![0; BYTES];
        if self.0.read_exact_at(&mut bytes, 0).is_err() {
            return KnownStarts::Unknown;
        }
        let numbers = bytes.as_chunks::<8>().0.iter().map(|number| i64::from_le_bytes(*number));
        let numbers: Vec<i64> = numbers.collect();
        // A slot holds the ids of the task and of the run. An unused slot holds zeros.
        let runs = numbers.as_chunks::<2>().0.iter().map(|[task, run]| (*task, *run));
        KnownStarts::Runs(runs.filter(|(task, _)| *task != 0).collect())
    }
}

/// The monitor's knowledge of which runs of a worker have started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KnownStarts {
    /// This monitor does not have the shared memory of the worker, or cannot read it.
    Unknown,
    /// The open runs that have started, as (task, run). Runs that have ended may be among them.
    Runs(HashSet<(i64, i64)>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_another_process_writes_are_read() {
        let (started_runs, for_worker) = StartedRuns::new().unwrap();
        assert_eq!(started_runs.read(), KnownStarts::Runs(HashSet::new()));
        let for_worker = File::from(for_worker);
        for (slot, task) in [(0, 7_i64), (STARTED_RUNS_SLOTS - 1, 8)] {
            let bytes = [task.to_le_bytes(), 3_i64.to_le_bytes()].concat();
            for_worker.write_all_at(&bytes, u64::from(slot) * SLOT_BYTES).unwrap();
        }
        assert_eq!(started_runs.read(), KnownStarts::Runs([(7, 3), (8, 3)].into()));
    }
}
