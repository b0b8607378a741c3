//! The operations of which a worker claims nothing: those that its host cannot start now, and those that users have
//! paused. Runs of paused operations that it has claimed before, and that have not started, go back to the queue
//! (`local_queue.rs`, `run_loop/give_back.rs`).

use rework_wire::worker::Paused;

/// The reason of a run that went back to the queue because of a pause.
pub(crate) const PAUSED: &str = "it was paused before it started";

/// The excluded operations.
#[derive(Debug, Default)]
pub(crate) struct Exclusions {
    /// The ids of the operations that this host cannot start now.
    pub(crate) blocked: Vec<i64>,
    pub(crate) paused: Paused,
}

impl Exclusions {
    /// Returns the ids of all excluded operations. If everything is paused, no claim is sent, so they need not be
    /// listed.
    pub(crate) fn operations(&self) -> Vec<i64> {
        [self.blocked.as_slice(), self.paused.operations.as_slice()].concat()
    }
}
