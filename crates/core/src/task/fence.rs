//! The fence: the identity of one claim of a task. Every write for a run names the fence, and changes nothing if the
//! task was claimed again since. So a worker that lost its lease cannot overwrite what a later run recorded.

use uuid::Uuid;

/// The identity of a run, which every write for that run names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    pub task: i64,
    /// The number of the claim, counted for each task from 1.
    pub run: i64,
    /// A random value drawn for each claim. It distinguishes two runs even if a failover reset `run` to an older value.
    pub token: Uuid,
}
