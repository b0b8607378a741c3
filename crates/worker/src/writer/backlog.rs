//! The state of the writer that the rest of the worker reads.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use rework_core::task::fence::Fence;
use tokio::{sync::Notify, time::Instant};

use super::slots::Slots;

/// How much waits to be written, the state of the last claims, and the runs that the worker holds.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The number of bytes that wait to be written.
    pub bytes: Cell<usize>,
    /// The number of log lines and ends of runs that are not in the database yet, so that they exist only in this
    /// process.
    pub unsaved: Cell<usize>,
    /// Until this moment a claim whose answer was lost may still take effect; `None` if no answer
    /// was ever lost.
    pub unconfirmed_claim_until: Cell<Option<Instant>>,
    /// When to claim again, although the last claim found nothing, because it did not scan all of
    /// the queue; `None` if no claim has left a part unscanned since this was read last.
    pub rescan_at: Cell<Option<Instant>>,
    /// The runs that the worker holds: claimed, and their ends are not recorded.
    pub slots: RefCell<Slots>,
    /// The last run whose end the database has recorded. `None` if that was so long ago that a failover cannot have
    /// lost it.
    pub last_end: Cell<Option<Fence>>,
    /// Notified whenever the server refuses a connection because it has too many.
    pub connection_refused: Rc<Notify>,
}

impl Backlog {
    /// Returns whether a claim whose answer was lost may still take effect.
    pub(crate) fn has_unconfirmed_claim(&self) -> bool {
        self.unconfirmed_claim_until.get().is_some_and(|until| until > Instant::now())
    }
}
