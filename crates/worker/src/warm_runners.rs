//! The runners that stay warm between runs, so that the next run of the same code starts at once.
//! There are few warm runners, and the one that was idle longest is ended first.

use std::time::Duration;

use rework_wire::worker::Start;
use tokio::time::Instant;

use crate::{revision::Revision, runner::Runner};

/// The most warm runners of one worker.
const MAX_WARM: usize = 2;

/// A runner that was idle for longer is ended.
const MAX_IDLE: Duration = Duration::from_secs(5 * 60);

/// The warm runners, ordered by last use.
pub(crate) struct WarmRunners {
    warm: Vec<Runner>,
    maxruns: u32,
    maxmem_bytes: u64,
}

impl WarmRunners {
    /// Creates an empty set with the limits that the monitor sent.
    pub(crate) fn new(start: &Start) -> WarmRunners {
        WarmRunners { warm: Vec::new(), maxruns: start.maxruns, maxmem_bytes: start.maxmem_bytes }
    }

    /// Removes and returns a warm runner of this revision; `None` if there is none that is alive.
    /// Runners of older revisions of the same file are ended.
    pub(crate) async fn take(&mut self, revision: &Revision) -> Option<Runner> {
        while let Some(index) =
            self.warm.iter().position(|runner| runner.revision.code == revision.code)
        {
            let mut runner = self.warm.remove(index);
            if runner.revision == *revision && !runner.has_ended() {
                return Some(runner);
            }
            end(runner).await;
        }
        None
    }

    /// Returns how many runs the runner may receive after its next one before it is replaced.
    pub(crate) fn more_runs(&self, runner: &Runner) -> u32 {
        match self.maxruns {
            0 => u32::MAX,
            maxruns => maxruns.saturating_sub(runner.runs + 1),
        }
    }

    /// Returns whether a runner uses more memory than `--maxmem`, so that it receives no more runs.
    pub(crate) fn is_too_large(&self, runner: &Runner) -> bool {
        self.maxmem_bytes > 0 && runner.tree.usage().memory_bytes > self.maxmem_bytes
    }

    /// Adds a runner whose runs have ended. It is ended instead if it has run often enough, is too large, or has
    /// exited.
    pub(crate) async fn put(&mut self, mut runner: Runner) {
        let has_run_enough = self.maxruns > 0 && runner.runs >= self.maxruns;
        let is_unreadable = runner.set_wake_on_data(true).is_err();
        if has_run_enough || self.is_too_large(&runner) || is_unreadable || runner.has_ended() {
            return end(runner).await;
        }
        runner.last_used = Instant::now();
        if self.warm.len() == MAX_WARM {
            end(self.warm.remove(0)).await;
        }
        self.warm.push(runner);
    }

    /// Returns when the next runner has been idle for too long; `None` if no runner is warm.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.warm.first().map(|runner| runner.last_used + MAX_IDLE)
    }

    /// Ends the runners that have been idle for too long.
    pub(crate) async fn expire(&mut self) {
        while self.expires().is_some_and(|at| at <= Instant::now()) {
            end(self.warm.remove(0)).await;
        }
    }

    /// Ends all runners.
    pub(crate) async fn end_all(&mut self) {
        for runner in self.warm.drain(..) {
            end(runner).await;
        }
    }
}

/// Kills a runner that has no run, together with its processes.
pub(crate) async fn end(mut runner: Runner) {
    if let Err(error) = runner.kill().await {
        tracing::warn!("a runner without a run cannot be killed: {error}");
    }
}
