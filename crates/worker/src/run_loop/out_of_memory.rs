//! Out of memory: the process tree of a runner uses more memory than its operation allows. With a cgroup the kernel
//! enforces the limit and kills the tree; otherwise the worker measures the memory and kills it.
//! `Tree::memory_exceeded` in `process/src/tree.rs` measures. The kernel's kills are counted by the cgroup
//! (`Memory::kills` in `process/src/memory.rs`).

use super::RunLoop;
use crate::{ending::RunnerEnd, run_result::StopReason};

impl RunLoop<'_> {
    /// Checks the memory of the process tree. Returns the reason if the runner must be killed,
    /// otherwise `None`. There is no grace period, during which the tree would only use more
    /// memory.
    pub(super) fn check_memory(&mut self) -> Option<RunnerEnd> {
        let reason = self.memory_stop_reason()?;
        let end = self.read_frames_now();
        end.or_else(|| (!self.open.is_empty()).then_some(RunnerEnd::OutOfMemory(reason)))
    }

    /// Returns the reason if the runner exited because the kernel killed it for its memory,
    /// otherwise `None`. Only the cgroup of the runner shows that, so this must be called before
    /// the cgroup is removed together with the processes.
    pub(super) fn killed_for_memory(&self, ended: Option<&RunnerEnd>) -> Option<RunnerEnd> {
        matches!(ended, Some(RunnerEnd::Exited(_)))
            .then(|| self.memory_stop_reason().map(RunnerEnd::OutOfMemory))
            .flatten()
    }

    /// Returns the reason to stop if the tree uses or has used too much memory, otherwise `None`.
    fn memory_stop_reason(&self) -> Option<StopReason> {
        let limit = self.operation.definition.limits.memory_bytes?.unsigned_abs();
        let used = self.runner.tree.memory_exceeded()?;
        Some(StopReason::OutOfMemory { used, limit, sampled: self.runner.sampled })
    }
}
