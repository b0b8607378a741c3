//! [`Error`]: why an operation failed, and whether the task gets another attempt.
//!
//! The operator `?` makes it from common error types. If another error wraps it (`anyhow`'s contexts, or as a cause),
//! and that error is converted back, the kind and the request for another attempt are kept.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use rework_wire::runner::{Failure, Retry};

/// The longest message that is recorded, in bytes. A longer one is cut. A frame carries message and traceback in its
/// JSON part, which has at most 4 MiB.
const MESSAGE_BYTES: usize = 64 << 10;

/// The longest kind that is recorded, in bytes. A kind should be one word.
const KIND_BYTES: usize = 256;

/// The longest traceback (causes and backtrace) that is recorded, in bytes. A longer one is cut.
const TRACEBACK_BYTES: usize = 256 << 10;

/// Why a run failed or is put off: a kind for programs, a message for people, and whether to try again.
///
/// `?` converts `anyhow::Error`, `std::io::Error`, `serde_json::Error`, `String`, `&str` and boxed errors. For other
/// error types write `impl From<MyError> for rework::Error`, or return `anyhow::Result` from the operation.
///
/// ```
/// use std::time::Duration;
///
/// fn fetch() -> Result<String, rework::Error> {
///     let text = std::fs::read_to_string("/nowhere/at/all")?;
///     if text.is_empty() {
///         return Err(rework::Error::retry_in(Duration::from_secs(30), "not there yet"));
///     }
///     Ok(text)
/// }
///
/// let error = fetch().unwrap_err();
/// assert_eq!(error.kind(), "io");
/// ```
#[derive(Debug, Clone)]
pub struct Error {
    kind: Cow<'static, str>,
    message: String,
    traceback: Option<String>,
    retry: Retry,
}

/// The result of an operation, with [`Error`] as the default error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates an error with a kind of your own, for example `quota`, and a message of one sentence.
    ///
    /// The kinds `input`, `output` and `load` are special: they end the task, even if it has attempts left.
    ///
    /// ```
    /// let error = rework::Error::new("quota", "the customer has used up the quota");
    /// assert_eq!(error.kind(), "quota");
    /// ```
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Error {
        Error::with_kind(kind.into().into(), message.into())
    }

    /// Makes an error that requests the next attempt after this delay. The request has no effect in the last attempt.
    #[must_use]
    pub fn retry_in(delay: Duration, cause: impl Into<Error>) -> Error {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Error { retry: Retry::InMs(delay_ms), ..cause.into() }
    }

    /// Puts the run off: the task is started again after this delay, and no attempt is used. For work that cannot start
    /// yet, such as a camera that is in use. A delay is at most 365 days. A task that was put off 1,000 times in a row
    /// fails when it is put off again.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// fn photograph(is_camera_free: bool) -> rework::Result<()> {
    ///     if !is_camera_free {
    ///         return Err(rework::Error::put_off(Duration::from_secs(30), "the camera is in use"));
    ///     }
    ///     Ok(())
    /// }
    /// # assert_eq!(photograph(false).unwrap_err().message(), "the camera is in use");
    /// ```
    #[must_use]
    pub fn put_off(delay: Duration, cause: impl Into<Error>) -> Error {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Error { retry: Retry::PutOffMs(delay_ms), ..cause.into() }
    }

    /// Makes an error that ends the task, even if it has attempts left.
    ///
    /// ```
    /// fn page(status: u16) -> rework::Result<()> {
    ///     if status == 404 {
    ///         return Err(rework::Error::give_up("there is no such page"));
    ///     }
    ///     Ok(())
    /// }
    /// # assert_eq!(page(404).unwrap_err().message(), "there is no such page");
    /// ```
    #[must_use]
    pub fn give_up(cause: impl Into<Error>) -> Error {
        Error { retry: Retry::GiveUp, ..cause.into() }
    }

    /// Sets the traceback: longer text that is recorded with the message, such as causes, a backtrace or advice.
    #[must_use]
    pub fn with_traceback(self, traceback: impl Into<String>) -> Error {
        Error { traceback: Some(traceback.into()), ..self }
    }

    /// Returns the kind of the error: one word, such as `io` or `panic`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns the message, followed by the messages of its causes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the list of causes, and the backtrace if one was captured. `None` if there is neither.
    pub fn traceback(&self) -> Option<&str> {
        self.traceback.as_deref()
    }

    pub(crate) fn with_kind(kind: Cow<'static, str>, message: String) -> Error {
        Error { kind, message, traceback: None, retry: Retry::Usual }
    }

    /// Converts the error into the message to the worker. Its texts are cut, because frames have a maximum size.
    pub(crate) fn into_failure(self, task: i64, run: i64) -> Failure {
        Failure {
            task,
            run,
            kind: truncated(self.kind.into_owned(), KIND_BYTES),
            message: truncated(self.message, MESSAGE_BYTES),
            traceback: self.traceback.map(|text| truncated(text, TRACEBACK_BYTES)),
            retry: self.retry,
            span: None,
        }
    }

    /// Converts another error. If an [`Error`] is among its causes, the kind and the request for another attempt are
    /// taken from that.
    fn from_chain(kind: &'static str, error: &(dyn StdError + 'static)) -> Error {
        let chain = || anyhow::Chain::new(error);
        let inner = chain().find_map(|cause| cause.downcast_ref::<Error>());
        Error {
            kind: inner.map_or(Cow::Borrowed(kind), |inner| inner.kind.clone()),
            message: joined_messages(chain()),
            traceback: list_of_causes(chain())
                .or_else(|| inner.and_then(|inner| inner.traceback.clone())),
            retry: inner.map_or(Retry::Usual, |inner| inner.retry),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Error {
        let converted = Error::from_chain("error", error.as_ref());
        // `downcast_ref` also finds an `Error` that was given as a context, which is not in the chain of causes.
        let inner = error.downcast_ref::<Error>();
        // Only the debug form includes the backtrace. It equals the message if there is no backtrace and no cause.
        let traceback = Some(format!("{error:?}")).filter(|text| *text != converted.message);
        Error {
            kind: inner.map_or(converted.kind, |inner| inner.kind.clone()),
            message: converted.message,
            traceback: traceback.filter(|text| text.contains('\n')).or(converted.traceback),
            retry: inner.map_or(converted.retry, |inner| inner.retry),
        }
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Error {
        Error::from_chain("error", error.as_ref())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::from_chain("io", &error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::from_chain("json", &error)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::with_kind("error".into(), message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::from(message.to_owned())
    }
}

/// Joins the messages of an error and its causes with colons. Some errors include their cause in their own message; it
/// is not repeated.
fn joined_messages<'a>(chain: impl Iterator<Item = &'a (dyn StdError + 'static)>) -> String {
    let mut joined = String::new();
    for message in chain.map(ToString::to_string) {
        if joined.is_empty() {
            joined = message;
        } else if !joined.ends_with(&message) {
            joined.push_str(": ");
            joined.push_str(&message);
        }
    }
    joined
}

/// Lists the causes of an error, one in each line. `None` if it has none.
fn list_of_causes<'a>(chain: impl Iterator<Item = &'a (dyn StdError + 'static)>) -> Option<String> {
    let causes: Vec<String> = chain.skip(1).map(|cause| format!("    {cause}")).collect();
    (!causes.is_empty()).then(|| format!("Caused by:\n{}", causes.join("\n")))
}

/// Cuts a text to at most this many bytes, at the boundary of a character. A cut text ends with ` […]`, which is not
/// counted.
pub(crate) fn truncated(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
        text.truncate(end);
        text.push_str(" […]");
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn wrapped() -> anyhow::Result<()> {
        Err(Error::give_up("the disk is full")).context("saving").context("archiving")
    }

    #[test]
    fn kind_and_retry_survive_contexts() {
        let error = Error::from(wrapped().unwrap_err());
        assert_eq!(error.retry, Retry::GiveUp);
        assert_eq!(error.message(), "archiving: saving: the disk is full");
        assert!(error.traceback().unwrap().contains("saving"), "{error:?}");

        let boxed: Box<dyn StdError + Send + Sync> = wrapped().unwrap_err().into();
        assert_eq!(Error::from(boxed).retry, Retry::GiveUp);

        let context = anyhow::anyhow!("inner").context(Error::new("quota", "too much"));
        assert_eq!(Error::from(context).kind(), "quota");
    }

    #[test]
    fn the_outermost_retry_wins() {
        let error = Error::retry_in(Duration::from_secs(2), Error::give_up("no"));
        assert_eq!(error.retry, Retry::InMs(2_000));
        let error = Error::put_off(Duration::from_secs(3), error);
        assert_eq!(error.retry, Retry::PutOffMs(3_000));
    }

    #[test]
    fn a_cause_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read: {0}")]
        struct Repeating(#[source] std::io::Error);

        let error = Repeating(std::io::Error::other("disk on fire"));
        let error = Error::from(anyhow::Error::from(error));
        assert_eq!(error.message(), "cannot read: disk on fire");
    }

    #[test]
    fn a_plain_error_has_no_traceback() {
        assert_eq!(Error::from(std::io::Error::other("plain")).traceback(), None);
        assert_eq!(Error::from("plain").traceback(), None);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(truncated("aé".to_owned(), 2), "a […]");
        assert_eq!(truncated("aé".to_owned(), 3), "aé");
    }
}
