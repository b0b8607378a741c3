//! The fence: the number of a claim, which every write of its run names.

use uuid::Uuid;

/// The fence: every write of a run names it, and changes nothing when it is no longer current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    pub task: i64,
    /// Which claim of it.
    pub run: i64,
    /// Drawn at random for the claim: tells runs apart even where a failover rolled `run` back.
    pub token: Uuid,
}
