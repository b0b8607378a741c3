//! The errors of reading a manifest, with the line of the file.

use std::{io, ops::Range, path::PathBuf};

/// The error of a manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {kind}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ManifestError {
    pub path: PathBuf,
    /// The number of the line, from 1. `None` if the error concerns the whole file.
    pub line: Option<usize>,
    pub kind: ManifestErrorKind,
}

impl ManifestError {
    /// Returns advice for the user. `None` if there is no advice.
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ManifestErrorKind::Empty => Some(
                "declare an operation: `[[operation]]`, `name = \"hello\"`, `shell = \"echo hello\"`".into(),
            ),
            ManifestErrorKind::NeitherCommandNorShell { .. } => {
                Some("for example `command = [\"convert\", \"-\", \"png:-\"]`".into())
            }
            ManifestErrorKind::NotTables => Some("write `[[operation]]`, with two brackets".into()),
            _ => None,
        }
    }
}

/// The kinds of errors in a manifest. The fields `subject` name the table: `` operation `thumbnail` ``, or the
/// manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestErrorKind {
    /// The file cannot be read, or is not UTF-8.
    #[error("the manifest cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file is not TOML. The message is the parser's.
    #[error("{0}")]
    Syntax(String),
    /// The file declares no operation.
    #[error("the manifest declares no operation")]
    Empty,
    /// The value of `operation` is not an array of tables.
    #[error("`operation` is not a list of operations")]
    NotTables,
    /// A key is unknown.
    #[error("unknown key `{key}` in {subject}{suggestion}")]
    UnknownKey {
        key: String,
        subject: String,
        /// The suggestion that ends the message: `` : did you mean `timeout`? ``. Empty if there is none.
        suggestion: String,
    },
    /// A required key is missing.
    #[error("missing key `{key}` in {subject}")]
    MissingKey { key: &'static str, subject: String },
    /// The value of a key is not valid.
    #[error("`{key}` of {subject}: {message}")]
    BadValue { key: &'static str, subject: String, message: String },
    /// The form of output is unknown.
    #[error("`output` of {subject} is `{given}`, neither `json` nor `bytes`")]
    BadOutput { subject: String, given: String },
    /// The command is empty.
    #[error("{subject} runs nothing: its command is empty")]
    NoCommand { subject: String },
    /// Both `command` and `shell` are missing.
    #[error("{subject} has neither `command` nor `shell`")]
    NeitherCommandNorShell { subject: String },
    /// Both `command` and `shell` are given.
    #[error("{subject} has both `command` and `shell`: it runs exactly one of the two")]
    BothCommandAndShell { subject: String },
    /// Two operations have the same name.
    #[error("operation `{name}` is declared twice")]
    Duplicate { name: String },
}

/// An error and the range of bytes in the text that it is about. `span` is `None` if it is about the whole file.
#[derive(Debug)]
pub(super) struct LocatedError {
    pub(super) kind: ManifestErrorKind,
    pub(super) span: Option<Range<usize>>,
}

impl LocatedError {
    pub(super) fn span(kind: ManifestErrorKind, span: Range<usize>) -> LocatedError {
        LocatedError { kind, span: Some(span) }
    }
}
