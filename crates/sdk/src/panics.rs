//! A panic of an operation is a failure of its run, and the runner goes on.
//!
//! What `catch_unwind` gives has no place; the panic hook sees it. The hook that was there before
//! still runs, so that a panic is in the task's log as well, as Rust prints it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use crate::Error;

/// The kind of failure that a panic is.
const KIND: &str = "panic";

#[derive(Debug, Default)]
struct Seen {
    place: String,
    backtrace: Option<String>,
}

thread_local! {
    static LAST: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// From now on the places of panics are noted.
pub(crate) fn watch() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        // Captured only where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured)
            .then(|| format!("Stack backtrace:\n{backtrace}"));
        LAST.set(Some(Seen { place, backtrace }));
        before(info);
    }));
}

/// What the function gives; or its panic, as an error.
pub(crate) fn caught<T>(act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    LAST.set(None);
    // What the operation left half-done is its own and its state's: both know of unwinding.
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        // Dropping the payload is the program's code, too.
        std::mem::forget(payload);
        let seen = LAST.take().unwrap_or_default();
        let message = match seen.place.as_str() {
            "" => message,
            place => format!("{message} (at {place})"),
        };
        let error = Error::of(KIND.into(), message);
        Err(match seen.backtrace {
            Some(backtrace) => error.with_traceback(backtrace),
            None => error,
        })
    })
}
