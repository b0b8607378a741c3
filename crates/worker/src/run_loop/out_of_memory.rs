//! Out of memory: the process tree of a runner uses more than its operation allows. Where a cgroup holds the tree, the
//! kernel enforces the limit and kills it; elsewhere the worker measures. `Tree::exceeded` (`process/src/tree.rs`) tells
//! both; the kernel's count of kills is read in `process/src/memory.rs`.

use super::RunLoop;
use crate::{ending::RunnerEnd, verdict::StopReason};

impl RunLoop<'_> {
    /// Measures the tree. It is killed without grace, in which it would only take more.
    pub(super) fn watch_memory(&mut self) -> Option<RunnerEnd> {
        let reason = self.over_memory()?;
        let end = self.read_frames_now();
        end.or_else(|| (!self.open.is_empty()).then_some(RunnerEnd::OutOfMemory(reason)))
    }

    /// Whether a runner that exited was killed by the kernel for its memory. Only its cgroup knows, so this must be asked before
    /// that is removed together with the processes.
    pub(super) fn killed_for_memory(&self, ended: Option<&RunnerEnd>) -> Option<RunnerEnd> {
        matches!(ended, Some(RunnerEnd::Exited(_)))
            .then(|| self.over_memory().map(RunnerEnd::OutOfMemory))
            .flatten()
    }

    /// Why the tree must end, if it uses or has used too much memory.
    fn over_memory(&self) -> Option<StopReason> {
        let limit = self.operation.definition.limits.memory_bytes?.unsigned_abs();
        let used = self.runner.tree.exceeded()?;
        Some(StopReason::OutOfMemory { used, limit, sampled: self.runner.sampled })
    }
}
