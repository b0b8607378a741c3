//! Stops a run: its code is ordered to stop, and its runner is killed if it has not stopped within the grace period.

use std::time::Duration;

use nix::sys::signal::Signal;
use rework_wire::runner::ToRunner;
use tokio::time::Instant;

use super::RunLoop;
use crate::{abort::Abort, claimed_run::RunKey, ending::RunnerEnd, run_result::StopReason};

impl RunLoop<'_> {
    /// Carries out an abort. The run may be open, wait in the runner, wait in the local queue, or
    /// have ended. Returns the reason if the runner cannot be used any more, otherwise `None`.
    pub(super) fn on_abort(&mut self, abort: Abort) -> Option<RunnerEnd> {
        let run = (abort.task, abort.run);
        if self.index_of(run).is_some() {
            // The frame that ends the run may have arrived already.
            let end = self.read_frames_now();
            if end.is_some() {
                return end;
            }
        }
        match self.index_of(run) {
            Some(index) => self.stop(index, abort.stop_reason()),
            None => self.abort_waiting(abort),
        }
        None
    }

    /// Returns the index of a run among the open ones; `None` if the run is not open.
    pub(super) fn index_of(&self, run: RunKey) -> Option<usize> {
        self.open.iter().position(|open| open.key() == run)
    }

    /// Tells an open run to stop, and sets the time at which its runner is killed otherwise. A runner of an SDK
    /// receives `abort`; a command receives SIGTERM.
    pub(super) fn stop(&mut self, index: usize, reason: StopReason) {
        let grace = self.grace();
        let run = &mut self.open[index];
        if run.stop_reason.is_some() {
            return;
        }
        let (task, number) = run.key();
        let reason_text = reason.result().reason.unwrap_or_default();
        run.stop_reason = Some(reason);
        let is_notified = match &mut self.runner.frames {
            Some(frames) => frames
                .send(&ToRunner::Abort { task, run: number, reason: reason_text }, &[])
                .is_ok(),
            None => self.runner.tree.signal(Signal::SIGTERM).is_ok(),
        };
        run.kill_at = Some(Instant::now() + if is_notified { grace } else { Duration::ZERO });
        self.revoke("its runner was to end");
    }

    /// Returns the grace period: the time from telling a run to stop until its runner is killed.
    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.operation.definition.limits.grace_ms.unsigned_abs())
    }
}
