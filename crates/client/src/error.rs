//! What the queue refused, as the error that operations and clients share.

use rework::Error;
use rework_core::db::error::Error as QueueError;

/// What the queue refused, or the way to it, with its advice where there would be causes.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn queue(error: QueueError) -> Error {
    let refused = Error::new("queue", error.to_string());
    match error.hint() {
        Some(hint) => refused.with_traceback(format!("hint: {hint}")),
        None => refused,
    }
}
