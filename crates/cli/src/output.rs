//! Writes what commands print: results to standard output, everything else to standard error.
//!
//! All output goes through this file, because a reader may close the pipe at any moment (`rework list-tasks | head`).
//! Printing then fails with [`ClosedPipe`], which commands return with `?`, and the process exits without an error.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use rework_core::db::dsn::hide_passwords;

use crate::escape;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// The reader of standard output closed the pipe. The command stops, and no error is printed.
#[derive(Debug, thiserror::Error)]
#[error("the reader of standard output closed the pipe")]
pub(crate) struct ClosedPipe;

/// Prints one line to standard output.
pub(crate) fn print(line: impl Display) -> anyhow::Result<()> {
    write(format!("{line}\n").as_bytes())
}

/// Writes exactly these bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a note to standard error. Control characters in it are escaped, because it may quote other programs.
pub(crate) fn note(text: impl Display) {
    print_stderr(escape::lines(&text.to_string()));
}

/// Writes a warning to standard error. Control characters in it are escaped, because it may quote other programs.
pub(crate) fn warn(text: impl Display) {
    print_stderr(format_args!("{WARNING}warning{WARNING:#}: {}", escape::lines(&text.to_string())));
}

/// Writes a line to standard error, without the passwords of databases in it. The line is lost if standard error is
/// closed.
pub(crate) fn print_stderr(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{}", hide_passwords(&text.to_string()));
}
