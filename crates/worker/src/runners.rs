//! The runners that stay warm between runs: few, the one that was idle longest leaves first.

use std::time::Duration;

use rework_wire::worker::Start;
use tokio::time::Instant;

use crate::{revision::Revision, runner::Runner};

/// Most warm runners of a worker.
const MAX_WARM: usize = 2;

/// A runner without work for so long leaves.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// The warm runners, the one used last at the end.
pub(crate) struct Runners {
    warm: Vec<Runner>,
    maxruns: u32,
    maxmem_bytes: u64,
}

impl Runners {
    /// None yet.
    pub(crate) fn new(start: &Start) -> Runners {
        Runners { warm: Vec::new(), maxruns: start.maxruns, maxmem_bytes: start.maxmem_bytes }
    }

    /// Takes the runner of this code, if one is warm and still alive. One of older code of the
    /// same file leaves.
    pub(crate) async fn take(&mut self, revision: &Revision) -> Option<Runner> {
        while let Some(at) =
            self.warm.iter().position(|runner| runner.revision.code == revision.code)
        {
            let mut runner = self.warm.remove(at);
            if runner.revision == *revision && !runner.has_ended() {
                return Some(runner);
            }
            end(runner).await;
        }
        None
    }

    /// How many runs a runner may be given behind its next one before it is replaced.
    pub(crate) fn more_runs(&self, runner: &Runner) -> u32 {
        match self.maxruns {
            0 => u32::MAX,
            most => most.saturating_sub(runner.runs + 1),
        }
    }

    /// Whether a runner has grown so large that it is given no more runs.
    pub(crate) fn is_too_large(&self, runner: &Runner) -> bool {
        self.maxmem_bytes > 0 && runner.tree.usage().memory_bytes > self.maxmem_bytes
    }

    /// Gives back a runner after a run. It leaves when it has run often enough or has grown too
    /// large: never in the middle of a run.
    pub(crate) async fn give_back(&mut self, mut runner: Runner) {
        let worn_out = self.maxruns > 0 && runner.runs >= self.maxruns;
        let deaf = runner.listen(true).is_err();
        if worn_out || self.is_too_large(&runner) || deaf || runner.has_ended() {
            return end(runner).await;
        }
        runner.used = Instant::now();
        if self.warm.len() == MAX_WARM {
            end(self.warm.remove(0)).await;
        }
        self.warm.push(runner);
    }

    /// When the next one leaves for want of work.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.warm.first().map(|runner| runner.used + IDLE)
    }

    /// Lets go of those without work for long.
    pub(crate) async fn expire(&mut self) {
        while self.expires().is_some_and(|at| at <= Instant::now()) {
            end(self.warm.remove(0)).await;
        }
    }

    /// Lets go of all.
    pub(crate) async fn end_all(&mut self) {
        for runner in self.warm.drain(..) {
            end(runner).await;
        }
    }
}

/// Between runs a runner has nothing to lose: it is killed, with whatever belongs to it.
pub(crate) async fn end(mut runner: Runner) {
    if let Err(error) = runner.kill().await {
        tracing::warn!("a runner without work does not die: {error}");
    }
}
