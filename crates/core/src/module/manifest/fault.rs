//! What can be wrong with a manifest, and where.

use std::{io, ops::Range, path::PathBuf};

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {fault}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ManifestError {
    pub path: PathBuf,
    /// The line, from 1, where the fault has one.
    pub line: Option<usize>,
    /// What is wrong.
    pub fault: Fault,
}

impl ManifestError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match &self.fault {
            Fault::Empty => Some(
                "declare one: `[[operation]]`, `name = \"hello\"`, `shell = \"echo hello\"`".into(),
            ),
            Fault::NeitherCommandNorShell { .. } => {
                Some("for instance `command = [\"convert\", \"-\", \"png:-\"]`".into())
            }
            Fault::NotTables => Some("write `[[operation]]`, with two brackets".into()),
            _ => None,
        }
    }
}

/// What is wrong. `place` is `` operation `thumbnail` ``, or the manifest.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read, or is not UTF-8.
    #[error("the manifest cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is not TOML: the parser's words.
    #[error("{0}")]
    Syntax(String),
    /// It declares nothing.
    #[error("the manifest declares no operation")]
    Empty,
    /// `operation` is no array of tables.
    #[error("`operation` is not a list of operations")]
    NotTables,
    /// A key that nobody knows.
    #[error("unknown key `{key}` in {place}{meant}")]
    UnknownKey {
        key: String,
        place: String,
        /// `` : did you mean `timeout`? ``, or nothing.
        meant: String,
    },
    /// A key that must be there.
    #[error("missing key `{key}` in {place}")]
    MissingKey { key: &'static str, place: String },
    /// A value that cannot be.
    #[error("`{key}` of {place}: {message}")]
    BadValue {
        key: &'static str,
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// A form of output that nobody knows.
    #[error("`output` of {place} is `{given}`, neither `json` nor `bytes`")]
    BadOutput { place: String, given: String },
    /// A command without a program.
    #[error("{place} runs nothing: its command is empty")]
    NoCommand { place: String },
    /// Nothing to run.
    #[error("{place} has neither `command` nor `shell`")]
    NeitherCommandNorShell { place: String },
    /// Two things to run.
    #[error("{place} has both `command` and `shell`: it runs exactly one of the two")]
    BothCommandAndShell { place: String },
    /// Two operations of one name.
    #[error("operation `{name}` is declared twice")]
    Duplicate { name: String },
}

/// A fault and the bytes of the text that it is about.
#[derive(Debug)]
pub(super) struct At {
    pub(super) fault: Fault,
    pub(super) span: Option<Range<usize>>,
}

impl At {
    pub(super) fn span(fault: Fault, span: Range<usize>) -> At {
        At { fault, span: Some(span) }
    }
}
