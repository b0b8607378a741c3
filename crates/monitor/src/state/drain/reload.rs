//! Reloading after SIGHUP. The monitor exits without draining, and its process executes the
//! program again, perhaps in a newer version. The workers continue their tasks, and the next
//! monitor adopts them.
//!
//! The execution itself is in `cli/src/reexec.rs`, and the adoption is in `monitor/src/adopt.rs`.

use std::time::{Duration, Instant};

use super::{Drain, PROGRESS_INTERVAL, Phase};
use crate::{cleanup_plan::describe_signal, event::Finish, state::State};

/// The number of SIGHUP.
pub(crate) const SIGNAL: i32 = 1;

/// How long a reload waits for ends that are being recorded. The next monitor records the others.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(5);

impl Drain {
    /// Returns whether this process must execute its program again, so that a monitor with the same
    /// options replaces this one at once. `true` after a reload and after the loss of the lease,
    /// unless a signal has requested the end of the monitor, before or after that.
    pub(crate) fn reexec(&self) -> bool {
        !self.end_requested
    }
}

impl State {
    /// Starts a reload, unless the monitor is already ending.
    pub(super) fn reload(&mut self, now: Instant) {
        if self.drain.is_some() {
            tracing::info!("{} ignored: the monitor is already ending", describe_signal(SIGNAL));
            return;
        }
        self.drain = Some(Drain {
            finish: Finish::Signal(SIGNAL),
            end_requested: false,
            phase: Phase::Reload,
            phase_ends_at: Some(now + RELOAD_TIMEOUT),
            next_progress: now + PROGRESS_INTERVAL,
        });
        self.drain_on_time(now);
    }
}
