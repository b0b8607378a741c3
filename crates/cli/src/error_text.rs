//! Renders errors for people: what failed, what caused it, and a hint with a command to type.
//!
//! ```text
//! error: operation `resize` is not registered in domain `images`
//! hint: see `rework list-operations`
//! ```
//!
//! The hint comes from the error itself, or from a [`Hinted`] with which a command wraps the error. Arguments that clap
//! refuses are rendered by `parse_error.rs`.

use std::{
    error::Error as StdError,
    fmt,
    fmt::Write as _,
    io::{self, Write as _},
};

use anstyle::{AnsiColor, Style};

use rework_core::{
    cron::error::CronError,
    db::{dsn::hide_passwords, error::Error as CoreError},
};
use rework_monitor::Error as MonitorError;

use crate::{escape, exit::Exit, output::ClosedPipe};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Green.on_default().bold();

/// An error with a hint and an exit code. Its message and its causes are those of `error`.
#[derive(Debug)]
pub struct Hinted {
    error: anyhow::Error,
    hint: String,
    exit: Exit,
}

/// Returns an error with a hint: `return Err(hinted("there is no task 7", "see `rework list-tasks`"))`.
pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { error: anyhow::Error::msg(message.into()), hint: hint.into(), exit: Exit::Error }
        .into()
}

/// Returns an error about wrong arguments, with a hint. The exit code is 2.
pub fn usage_error(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { error: anyhow::Error::msg(message.into()), hint: hint.into(), exit: Exit::Usage }
        .into()
}

/// Adds a hint to an error. The exit code stays the same.
pub(crate) fn with_hint(error: anyhow::Error, hint: String) -> anyhow::Error {
    let exit = exit_code_of(&error);
    Hinted { error, hint, exit }.into()
}

/// Adds a hint to the error of a `Result`.
pub trait OrHint<T> {
    /// Returns the same result. An error gets the hint that `hint` returns.
    fn or_hint(self, hint: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrHint<T> for Result<T, E> {
    fn or_hint(self, hint: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|error| with_hint(error.into(), hint()))
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Hinted {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// Returns the exit code for an error. A closed pipe counts as success.
pub fn exit_code_of(error: &anyhow::Error) -> Exit {
    if error.chain().any(<dyn StdError>::is::<ClosedPipe>) {
        return Exit::Done;
    }
    error.chain().find_map(|cause| cause.downcast_ref::<Hinted>()).map_or(Exit::Error, |h| h.exit)
}

/// Prints an error to standard error.
pub(crate) fn print(error: &anyhow::Error) {
    let mut stderr = io::stderr().lock();
    let colour = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
    // If standard error is closed, there is no other place for the message.
    let _ = stderr.write_all(render(error, colour).as_bytes());
}

/// Returns the text to print for an error, with its newline. Empty for a closed pipe, which is not reported.
pub fn render(error: &anyhow::Error, colour: bool) -> String {
    if error.chain().any(<dyn StdError>::is::<ClosedPipe>) {
        return String::new();
    }
    let mut text = String::new();
    push_labelled(&mut text, "error", ERROR, &error.to_string(), colour);
    for cause in error.chain().skip(1) {
        push_labelled(&mut text, "caused by", ERROR, &cause.to_string(), colour);
    }
    if let Some(hint) = error.chain().find_map(hint_of) {
        push_labelled(&mut text, "hint", HINT, &hint, colour);
    }
    text
}

/// Returns the hint of one error in the chain of causes. `None` if this error has none.
fn hint_of(cause: &(dyn StdError + 'static)) -> Option<String> {
    cause
        .downcast_ref::<Hinted>()
        .map(|hinted| hinted.hint.clone())
        .or_else(|| cause.downcast_ref::<CoreError>().and_then(CoreError::hint))
        .or_else(|| cause.downcast_ref::<CronError>().and_then(CronError::hint))
        .or_else(|| cause.downcast_ref::<MonitorError>().and_then(MonitorError::hint))
}

/// Returns the last line of an error in colour: `hint: …`.
pub(crate) fn hint_line(message: &str) -> String {
    let mut text = String::new();
    push_labelled(&mut text, "hint", HINT, message, true);
    text
}

/// Appends a message with its label. Control characters are escaped, because a message may quote other programs, and
/// passwords of databases are hidden, because a message may quote what the user typed.
fn push_labelled(text: &mut String, label: &str, style: Style, message: &str, colour: bool) {
    let style = if colour { style } else { Style::new() };
    let message = hide_passwords(message.trim_end());
    let _ = writeln!(text, "{style}{label}{style:#}: {}", escape::lines(&message));
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_rendered_with_its_causes_and_its_hint() {
        let error = std::fs::read("/no/such/file")
            .context("cannot read `/no/such/file`")
            .or_hint(|| "name one that exists".to_owned())
            .unwrap_err();
        assert_eq!(
            render(&error, false),
            "error: cannot read `/no/such/file`\n\
             caused by: No such file or directory (os error 2)\n\
             hint: name one that exists\n"
        );
        assert_eq!(exit_code_of(&error), Exit::Error);
    }

    #[test]
    fn a_hint_survives_more_context() {
        let error =
            usage_error("give one task at least", "`rework show-task 7`").context("show-task");
        assert_eq!(
            render(&error, false),
            "error: show-task\ncaused by: give one task at least\nhint: `rework show-task 7`\n"
        );
        assert_eq!(exit_code_of(&error), Exit::Usage);
    }

    #[test]
    fn an_error_of_the_core_has_its_own_hint() {
        let absent = rework_core::db::error::Error::SchemaMissing { database: "jobs".to_owned() };
        let text = render(&anyhow::Error::from(absent), false);
        assert!(text.starts_with("error: there is no rework schema in database `jobs`\nhint: "));
        assert!(text.contains("rework init-db"));
    }

    #[test]
    fn a_closed_pipe_is_not_reported() {
        let error = anyhow::Error::new(ClosedPipe).context("listing");
        assert_eq!(render(&error, true), "");
        assert_eq!(exit_code_of(&error), Exit::Done);
    }

    #[test]
    fn control_characters_in_messages_are_escaped() {
        let error = anyhow::anyhow!("bad \x1b[2J name\nsecond line");
        assert_eq!(render(&error, false), "error: bad \\x1b[2J name\nsecond line\n");
    }
}
