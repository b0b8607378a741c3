//! Messages of the SDK itself to people. They go to stderr, because stdout belongs to the operations.

use std::io::Write;
use std::process::ExitCode;

use crate::leave::USAGE;

/// Why the program cannot do what it was started for, as its exit code.
pub(crate) fn refuse(why: &str) -> ExitCode {
    error(why);
    ExitCode::from(USAGE)
}

/// What failed.
pub(crate) fn error(what: &str) {
    line(&format!("error: {what}"));
}

/// What to type.
pub(crate) fn hint(what: &str) {
    line(&format!("hint: {what}"));
}

/// A line of its own.
pub(crate) fn line(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
