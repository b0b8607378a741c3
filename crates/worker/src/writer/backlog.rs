//! What the writer lets the rest of the worker see of its work.

use std::cell::Cell;

use tokio::time::Instant;

/// How far the writer is behind, and what it knows of its claims.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Bytes that wait to be written.
    pub bytes: Cell<usize>,
    /// Lines and ends of runs that are not in the database yet: they exist only in this process.
    pub unsaved: Cell<usize>,
    /// Until then a claim whose answer was lost may still take effect.
    pub unconfirmed_claim_until: Cell<Option<Instant>>,
    /// When to claim again although the last claim found nothing: it did not scan everything.
    pub rescan_at: Cell<Option<Instant>>,
}

impl Backlog {
    /// Whether a claim whose answer was lost may still take effect.
    pub(crate) fn has_unconfirmed_claim(&self) -> bool {
        self.unconfirmed_claim_until.get().is_some_and(|until| until > Instant::now())
    }
}
