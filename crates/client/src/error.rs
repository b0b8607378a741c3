//! Converts errors of the queue to [`rework::Error`], the error type that operations and clients share.

use rework::Error;
use rework_core::db::error::Error as QueueError;

/// Converts an error of the queue to an error of kind `queue`. The error's hint becomes its traceback.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes its argument by value")]
pub(crate) fn queue(error: QueueError) -> Error {
    let converted = Error::new("queue", error.to_string());
    match error.hint() {
        Some(hint) => converted.with_traceback(format!("hint: {hint}")),
        None => converted,
    }
}
