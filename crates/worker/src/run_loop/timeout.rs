//! Timeouts: a run that exceeds the timeout of its operation (`ActiveRun::timeout_at`) is ordered to stop: `stop` in
//! `abort.rs` sends `abort` to a runner with an SDK, and SIGTERM to a command. A runner is killed if its run has not
//! stopped within the grace period. The grace period after an abort ends here, too.

use std::time::Duration;

use tokio::time::Instant;

use super::{RunLoop, timers::is_due};
use crate::{
    active_run::ActiveRun, claimed_run::RunKey, ending::RunnerEnd, run_result::StopReason,
};

impl RunLoop<'_> {
    /// Stops runs that have exceeded their timeout. Returns the reason to kill the runner if a run
    /// has exceeded its grace period, otherwise `None`.
    pub(super) fn enforce_time_limits(&mut self, now: Instant) -> Option<RunnerEnd> {
        let limits = &self.operation.definition.limits;
        let overdue: Vec<RunKey> = self
            .open
            .iter()
            .filter(|run| is_due(run.kill_at, now) || is_due(run.timeout_at(limits), now))
            .map(ActiveRun::key)
            .collect();
        if overdue.is_empty() {
            return None;
        }
        // The frames that end these runs may have arrived already.
        let end = self.read_frames_now();
        if end.is_some() {
            return end;
        }
        for run in overdue {
            let Some(index) = self.index_of(run) else { continue };
            if is_due(self.open[index].kill_at, now) {
                return Some(RunnerEnd::GraceOver { task: run.0 });
            }
            self.time_out(index);
        }
        None
    }

    /// Stops a run that has exceeded the timeout of its operation.
    fn time_out(&mut self, index: usize) {
        let limit = self.operation.definition.limits.timeout_ms.unwrap_or_default();
        self.stop(index, StopReason::Timeout(Duration::from_millis(limit.unsigned_abs())));
    }
}
