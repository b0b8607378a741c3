//! Timeouts: a run that has used up the timeout of its operation is told to stop, and its runner is killed when the
//! grace of a run is over.

use std::time::Duration;

use tokio::time::Instant;

use super::{RunLoop, timers::is_due};
use crate::{active_run::ActiveRun, claimed_run::Key, ending::RunnerEnd, verdict::StopReason};

impl RunLoop<'_> {
    /// Times runs out, and kills the runner if one that was told to stop has used up its grace.
    pub(super) fn stop_what_is_late(&mut self, now: Instant) -> Option<RunnerEnd> {
        let limits = &self.operation.definition.limits;
        let late: Vec<Key> = self
            .open
            .iter()
            .filter(|run| is_due(run.kill_at, now) || is_due(run.timeout_at(limits), now))
            .map(ActiveRun::key)
            .collect();
        if late.is_empty() {
            return None;
        }
        // They may have ended in the meantime.
        let end = self.read_frames_now();
        if end.is_some() {
            return end;
        }
        for run in late {
            let Some(place) = self.place_of(run) else { continue };
            if is_due(self.open[place].kill_at, now) {
                return Some(RunnerEnd::GraceOver { task: run.0 });
            }
            self.time_out(place);
        }
        None
    }

    /// A run has used up the timeout of its operation.
    fn time_out(&mut self, place: usize) {
        let limit = self.operation.definition.limits.timeout_ms.unwrap_or_default();
        self.stop(place, StopReason::Timeout(Duration::from_millis(limit.unsigned_abs())));
    }
}
