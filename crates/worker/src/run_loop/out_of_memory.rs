//! Out of memory: the process tree of a runner uses more than its operation allows. Where a cgroup holds the tree, the
//! kernel enforces the limit and kills it; elsewhere the worker measures.

use super::RunLoop;
use crate::{ending::RunnerEnd, verdict::StopReason};

impl RunLoop<'_> {
    /// Measures the tree. It is killed without grace, in which it would only take more.
    pub(super) fn watch_memory(&mut self) -> Option<RunnerEnd> {
        let reason = self.over_memory()?;
        let end = self.read_frames_now();
        end.or_else(|| (!self.open.is_empty()).then_some(RunnerEnd::OutOfMemory(reason)))
    }

    /// Why the tree must end, if it uses or has used too much. After an exit this tells whether the kernel killed it
    /// for its memory.
    pub(super) fn over_memory(&self) -> Option<StopReason> {
        let limit = self.operation.definition.limits.memory_bytes?.unsigned_abs();
        let used = self.runner.tree.exceeded()?;
        Some(StopReason::OutOfMemory { used, limit, sampled: self.runner.sampled })
    }
}
