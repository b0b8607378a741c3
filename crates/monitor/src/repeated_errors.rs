//! Errors that come again and again while the database refuses something. Each text is logged once, and again after a
//! minute.

use std::time::{Duration, Instant};

/// The time after which the same text is logged again.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// The error that was logged last, while the same action fails.
#[derive(Debug, Default)]
pub(crate) struct RepeatedErrors {
    last: Option<(String, Instant)>,
}

impl RepeatedErrors {
    /// Returns whether an error is to be logged: it has another text than the last one, or was logged long ago.
    pub(crate) fn is_news(&mut self, text: &str, now: Instant) -> bool {
        let is_known = self.last.as_ref().is_some_and(|(last, logged_at)| {
            last == text && now.duration_since(*logged_at) < REPEAT_AFTER
        });
        if !is_known {
            self.last = Some((text.to_owned(), now));
        }
        !is_known
    }

    /// Notes that the action has succeeded. Returns whether an error was logged before.
    pub(crate) fn end(&mut self) -> bool {
        self.last.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_logged_when_its_text_changes_and_once_a_minute() {
        let start = Instant::now();
        let mut errors = RepeatedErrors::default();
        assert!(!errors.end());
        assert!(errors.is_news("disk full", start));
        assert!(!errors.is_news("disk full", start + Duration::from_secs(59)));
        assert!(errors.is_news("read only", start + Duration::from_secs(59)));
        assert!(errors.is_news("read only", start + Duration::from_secs(119)));
        assert!(errors.end());
        assert!(errors.is_news("read only", start + Duration::from_secs(120)));
    }
}
