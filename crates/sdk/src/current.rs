//! The current run of this process. There is at most one, because a runner executes one run at a time.
//!
//! The variable is global, because loggers are global: an event is attributed to the run that is current when it is
//! logged. This includes events of threads that an earlier run left behind.

use std::sync::{PoisonError, RwLock};

use crate::Task;

static CURRENT: RwLock<Option<Task>> = RwLock::new(None);

/// Makes a run the current one, and starts its clock.
pub(crate) fn enter(task: &Task) {
    task.set_started();
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(task.clone());
}

/// Ends the current run: until the next call of [`enter`] there is none.
pub(crate) fn leave() {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Calls a function with the current run, and returns its result. `None` if there is no current run.
///
/// The current run cannot change before the function returns.
pub(crate) fn with<T>(function: impl FnOnce(&Task) -> T) -> Option<T> {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(function)
}
