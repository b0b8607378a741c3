//! Stops a run: it is told to stop, and its runner is killed if it has not stopped within its grace.

use std::time::Duration;

use nix::sys::signal::Signal;
use rework_wire::runner::ToRunner;
use tokio::time::Instant;

use super::RunLoop;
use crate::{abort::Abort, claimed_run::Key, ending::RunnerEnd, verdict::StopReason};

impl RunLoop<'_> {
    /// Somebody wants a run to end. It may be open, wait in the runner, wait in the worker, or be over.
    pub(super) fn on_abort(&mut self, abort: Abort) -> Option<RunnerEnd> {
        let run = (abort.task, abort.run);
        if self.place_of(run).is_some() {
            // It may have ended in the meantime.
            let end = self.read_frames_now();
            if end.is_some() {
                return end;
            }
        }
        match self.place_of(run) {
            Some(place) => self.stop(place, abort.stop_reason()),
            None => self.abort_waiting(abort),
        }
        None
    }

    /// Where a run stands among the open ones.
    pub(super) fn place_of(&self, run: Key) -> Option<usize> {
        self.open.iter().position(|open| open.key() == run)
    }

    /// Tells an open run to stop.
    pub(super) fn stop(&mut self, place: usize, reason: StopReason) {
        let grace = self.grace();
        let run = &mut self.open[place];
        if run.stop.is_some() {
            return;
        }
        let (task, number) = run.key();
        let words = reason.verdict().reason.unwrap_or_default();
        run.stop = Some(reason);
        let told = match &mut self.runner.frames {
            Some(frames) => {
                frames.send(&ToRunner::Abort { task, run: number, reason: words }, &[]).is_ok()
            }
            None => self.runner.tree.signal(Signal::SIGTERM).is_ok(),
        };
        run.kill_at = Some(Instant::now() + if told { grace } else { Duration::ZERO });
        self.revoke("its runner was to end");
    }

    /// How long a run may take to stop.
    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.operation.definition.limits.grace_ms.unsigned_abs())
    }
}
