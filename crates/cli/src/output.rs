//! Writes what commands print: results to standard output, everything else to standard error.
//!
//! All output goes through here, because a reader may close the pipe at any moment (`rework list-tasks | head`)
//! and the command must then end quietly: printing fails with [`ClosedPipe`], which commands pass on with `?`.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;

use crate::escape;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// The reader of our output went away: the command ends, and no error is reported.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct ClosedPipe;

/// Prints one line on standard output.
pub(crate) fn print(line: impl Display) -> anyhow::Result<()> {
    write(format!("{line}\n").as_bytes())
}

/// Writes to standard output exactly these bytes.
pub(crate) fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a note to standard error. Text from elsewhere in it cannot steer the terminal.
pub(crate) fn note(text: impl Display) {
    say(escape::lines(&text.to_string()));
}

/// Writes a warning to standard error. Text from elsewhere in it cannot steer the terminal.
pub(crate) fn warn(text: impl Display) {
    say(format_args!("{WARNING}warning{WARNING:#}: {}", escape::lines(&text.to_string())));
}

/// Writes a line to standard error. The line is lost if standard error is closed.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
