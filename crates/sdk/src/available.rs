//! The check of an operation: a function that answers whether this host can run the operation now.

use std::fmt::Display;

/// The check of an operation, as `#[operation(available = …)]` records it.
#[derive(Debug)]
pub struct Check {
    /// The path of the function, for people.
    pub name: &'static str,
    /// The function. It returns why the operation is not available; `None` if it is.
    pub call: fn() -> Option<String>,
}

/// A type that a check can return: `bool`, or a `Result` whose error is the reason.
#[diagnostic::on_unimplemented(
    message = "a check cannot return `{Self}`",
    note = "return `bool`, or a `Result` whose error says why the operation is not available"
)]
pub trait IntoReason {
    /// Returns why the operation is not available; `None` if it is.
    fn into_reason(self) -> Option<String>;
}

impl IntoReason for bool {
    fn into_reason(self) -> Option<String> {
        (!self).then(|| "its check returned false".to_owned())
    }
}

impl<E: Display> IntoReason for Result<(), E> {
    fn into_reason(self) -> Option<String> {
        // The alternative form of an `anyhow::Error` contains its causes.
        self.err().map(|error| format!("{error:#}"))
    }
}

impl<E: Display> IntoReason for Result<bool, E> {
    fn into_reason(self) -> Option<String> {
        match self {
            Ok(is_available) => is_available.into_reason(),
            Err(error) => Err::<(), E>(error).into_reason(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_reason() {
        let reason = |text: &str| Some(text.to_owned());
        assert_eq!(true.into_reason(), None);
        assert_eq!(false.into_reason(), reason("its check returned false"));
        assert_eq!(Ok::<(), String>(()).into_reason(), None);
        assert_eq!(Err::<(), &str>("no display").into_reason(), reason("no display"));
        assert_eq!(Ok::<bool, &str>(false).into_reason(), reason("its check returned false"));
        let error = anyhow::anyhow!("refused").context("no licence");
        assert_eq!(Err::<bool, _>(error).into_reason(), reason("no licence: refused"));
    }
}
