//! How an operation fails: what happened, in words, and whether it asks for another attempt.
//!
//! It is made from the errors that operations meet, by `?`. An error of ours that was wrapped on its
//! way out (by `anyhow`'s contexts, or as a cause) keeps its kind and what it asks for.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use rework_wire::runner::{Failure, Retry};

/// The longest message that is recorded, in bytes.
const MESSAGE_BYTES: usize = 64 << 10;

/// The longest list of causes and backtrace that is recorded, in bytes.
const TRACEBACK_BYTES: usize = 256 << 10;

/// Why a run failed.
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

/// What an operation may give back as its result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of a kind of one's own, `quota` say, with one sentence for people. Three kinds
    /// end the task whatever attempts it has left: `input`, `output` and `load`.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Error {
        Error::of(kind.into().into(), message.into())
    }

    /// Asks for the next attempt after this delay, while attempts remain.
    #[must_use]
    pub fn retry_in(delay: Duration, cause: impl Into<Error>) -> Error {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Error { retry: Retry::InMs(delay_ms), ..cause.into() }
    }

    /// Asks for no further attempt: the next one would fail as well.
    #[must_use]
    pub fn give_up(cause: impl Into<Error>) -> Error {
        Error { retry: Retry::GiveUp, ..cause.into() }
    }

    /// Sets what is recorded beside the message: causes, advice, or where it was made.
    #[must_use]
    pub fn with_traceback(self, traceback: impl Into<String>) -> Error {
        Error { traceback: Some(traceback.into()), ..self }
    }

    /// What kind of failure it is: a word.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What happened, with its causes, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Its causes one by one, and where it was made, if that was recorded.
    pub fn traceback(&self) -> Option<&str> {
        self.traceback.as_deref()
    }

    pub(crate) fn of(kind: Cow<'static, str>, message: String) -> Error {
        Error { kind, message, traceback: None, retry: Retry::Usual }
    }

    /// The same, as a worker is told. Frames are bounded, so texts are cut.
    pub(crate) fn into_failure(self, task: i64, run: i64) -> Failure {
        Failure {
            task,
            run,
            kind: bounded(self.kind.into_owned(), 256),
            message: bounded(self.message, MESSAGE_BYTES),
            traceback: self.traceback.map(|text| bounded(text, TRACEBACK_BYTES)),
            retry: self.retry,
            span: None,
        }
    }

    fn caused(kind: &'static str, error: &(dyn StdError + 'static)) -> Error {
        let chain = || anyhow::Chain::new(error);
        let ours = chain().find_map(|cause| cause.downcast_ref::<Error>());
        Error {
            kind: ours.map_or(Cow::Borrowed(kind), |ours| ours.kind.clone()),
            message: sentence(chain()),
            traceback: causes(chain()).or_else(|| ours.and_then(|ours| ours.traceback.clone())),
            retry: ours.map_or(Retry::Usual, |ours| ours.retry),
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
        let caused = Error::caused("error", error.as_ref());
        let ours = error.downcast_ref::<Error>();
        // The debug form is the one that has the backtrace. Without one and without causes it says
        // what the message says.
        let traceback = Some(format!("{error:?}")).filter(|text| *text != caused.message);
        Error {
            kind: ours.map_or(caused.kind, |ours| ours.kind.clone()),
            message: caused.message,
            traceback: traceback.filter(|text| text.contains('\n')).or(caused.traceback),
            retry: ours.map_or(caused.retry, |ours| ours.retry),
        }
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Error {
        Error::caused("error", error.as_ref())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::caused("io", &error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::caused("json", &error)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::of("error".into(), message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::from(message.to_owned())
    }
}

/// An error and its causes in one line. Some errors say their cause themselves: not twice.
fn sentence<'a>(chain: impl Iterator<Item = &'a (dyn StdError + 'static)>) -> String {
    let mut sentence = String::new();
    for cause in chain.map(ToString::to_string) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.ends_with(&cause) {
            sentence.push_str(": ");
            sentence.push_str(&cause);
        }
    }
    sentence
}

fn causes<'a>(chain: impl Iterator<Item = &'a (dyn StdError + 'static)>) -> Option<String> {
    let causes: Vec<String> = chain.skip(1).map(|cause| format!("    {cause}")).collect();
    (!causes.is_empty()).then(|| format!("Caused by:\n{}", causes.join("\n")))
}

/// A text of at most so many bytes; one that is cut says so.
pub(crate) fn bounded(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let cut = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str(" […]");
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn wrapped() -> anyhow::Result<()> {
        Err(Error::give_up("the disk is gone")).context("saving").context("archiving")
    }

    #[test]
    fn what_was_asked_for_survives_contexts() {
        let error = Error::from(wrapped().unwrap_err());
        assert_eq!(error.retry, Retry::GiveUp);
        assert_eq!(error.message(), "archiving: saving: the disk is gone");
        assert!(error.traceback().unwrap().contains("saving"), "{error:?}");

        let boxed: Box<dyn StdError + Send + Sync> = wrapped().unwrap_err().into();
        assert_eq!(Error::from(boxed).retry, Retry::GiveUp);

        let context = anyhow::anyhow!("inner").context(Error::new("quota", "too much"));
        assert_eq!(Error::from(context).kind(), "quota");
    }

    #[test]
    fn the_outermost_request_wins() {
        let error = Error::retry_in(Duration::from_secs(2), Error::give_up("no"));
        assert_eq!(error.retry, Retry::InMs(2_000));
    }

    #[test]
    fn a_cause_is_said_once() {
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
    fn texts_are_bounded_between_characters() {
        assert_eq!(bounded("aé".to_owned(), 2), "a […]");
        assert_eq!(bounded("aé".to_owned(), 3), "aé");
    }
}
