//! The run in hand. A runner has at most one, and it is the program's: its loggers are, too.
//!
//! What a thread logs that an operation left behind belongs to the run of that moment, as what it
//! prints does.

use std::sync::{PoisonError, RwLock};

use crate::Task;

static CURRENT: RwLock<Option<Task>> = RwLock::new(None);

/// From now on the run in hand is this one.
pub(crate) fn enter(task: &Task) {
    task.begin();
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(task.clone());
}

/// From now on there is none.
pub(crate) fn leave() {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Does something with the run in hand, which cannot end meanwhile.
pub(crate) fn with<T>(act: impl FnOnce(&Task) -> T) -> Option<T> {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(act)
}
