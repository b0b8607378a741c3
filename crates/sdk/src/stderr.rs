//! Messages of the SDK itself to people. They go to stderr, because stdout belongs to the operations.

use std::io::Write;
use std::process::ExitCode;

use crate::exit::USAGE;

/// Prints why the program cannot do what it was started for, and returns the exit code for that.
pub(crate) fn refuse(message: &str) -> ExitCode {
    error(message);
    ExitCode::from(USAGE)
}

/// Prints what failed.
pub(crate) fn error(message: &str) {
    line(&format!("error: {message}"));
}

/// Prints what to do or to type next.
pub(crate) fn hint(message: &str) {
    line(&format!("hint: {message}"));
}

/// Prints one line.
pub(crate) fn line(text: &str) {
    // If stderr is closed the message is lost: it cannot be printed anywhere else.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
