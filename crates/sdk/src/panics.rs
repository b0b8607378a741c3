//! Turns a panic of an operation into a failure of its run. The runner continues with the next run.
//!
//! `catch_unwind` returns neither the location nor the backtrace of a panic, so a panic hook records them. The previous
//! hook still runs: it prints the panic to stderr, so that the panic is in the task's log as well.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use crate::Error;

/// The kind of error that is recorded for a panic.
const KIND: &str = "panic";

/// The details of a panic that the hook records.
#[derive(Debug, Default)]
struct PanicDetails {
    /// The source location, such as `src/main.rs:12:5`. Empty if it is not known.
    location: String,
    backtrace: Option<String>,
}

thread_local! {
    static LAST: RefCell<Option<PanicDetails>> = const { RefCell::new(None) };
}

/// Installs the hook that records location and backtrace of each panic.
pub(crate) fn install_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        // Captures something only if RUST_BACKTRACE is set.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured)
            .then(|| format!("Stack backtrace:\n{backtrace}"));
        LAST.set(Some(PanicDetails { location, backtrace }));
        previous(info);
    }));
}

/// Calls a function and returns its result. `Err` with kind `panic` if it panics.
pub(crate) fn catch<T>(function: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    LAST.set(None);
    // Unwind safety cannot be checked here. An operation may leave its shared state half changed; that is up to the
    // program, whose locks are poisoned by the panic.
    panic::catch_unwind(AssertUnwindSafe(function)).unwrap_or_else(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        // The destructor of a payload may panic itself, so it is not run.
        std::mem::forget(payload);
        let details = LAST.take().unwrap_or_default();
        let message = match details.location.as_str() {
            "" => message,
            location => format!("{message} (at {location})"),
        };
        let error = Error::with_kind(KIND.into(), message);
        Err(match details.backtrace {
            Some(backtrace) => error.with_traceback(backtrace),
            None => error,
        })
    })
}
