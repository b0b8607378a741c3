//! Reload, which SIGHUP asks for: the monitor leaves without draining, and its process executes the
//! program anew, perhaps in a newer version. The workers go on with their tasks and are adopted by the
//! next monitor. The execution itself is in `cli/src/reexec.rs`, the adoption in `monitor/src/adopt.rs`, and what workers do
//! meanwhile in `worker/src/life.rs`.

use std::time::{Duration, Instant};

use super::{Drain, PROGRESS_EVERY, Phase};
use crate::{cleanup_plan::signal_words, event::Finish, state::State};

/// The number of SIGHUP.
pub(crate) const SIGNAL: i32 = 1;

/// How long a reload waits for ends that are being recorded; the next monitor records the others.
const PATIENCE: Duration = Duration::from_secs(5);

impl Drain {
    /// Whether this process is to execute itself anew, so that a monitor with the same options takes
    /// this one's place at once. A signal to end prevents that, whenever it came; the loss of the
    /// lease does not.
    pub(crate) fn reexec(&self) -> bool {
        !self.ends
    }
}

impl State {
    /// Begins a reload, unless the monitor ends anyway.
    pub(super) fn reload(&mut self, now: Instant) {
        if self.drain.is_some() {
            tracing::info!("{}, while the monitor ends: nothing to be done", signal_words(SIGNAL));
            return;
        }
        self.drain = Some(Drain {
            finish: Finish::Asked(SIGNAL),
            ends: false,
            phase: Phase::Reload,
            until: Some(now + PATIENCE),
            next_progress: now + PROGRESS_EVERY,
        });
        self.drain_on_time(now);
    }
}
