//! The errors of `rework dev`, each with a hint that says what to do about it.

use std::{io, path::PathBuf};

/// The oldest major version of Postgres that rework works with.
pub(crate) const OLDEST: u32 = 14;

/// An error while `rework dev` starts, runs or stops its private Postgres.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// No usable Postgres server is installed.
    #[error("no Postgres server of version {OLDEST} or newer is installed here{}", found(.too_old))]
    NoPostgres {
        /// The installed versions that are too old, with their directories: ``13 in `/usr/lib/…` ``.
        too_old: Vec<String>,
        /// The command that installs a server.
        install: String,
    },
    /// The data directory was created by a version that is not installed.
    #[error("`{}` was made by Postgres {major}, which is not installed here", .data.display())]
    OtherMajor {
        /// The data directory.
        data: PathBuf,
        /// The major version that created the data directory.
        major: u32,
    },
    /// `rework dev` runs as root, and there is no other user to run the server.
    #[error("Postgres refuses to run as root, and there is no user `postgres` or `nobody`")]
    NoServerUser,
    /// `rework dev` needs a private directory at a path, but the path is not a directory or belongs
    /// to another user.
    #[error("`{}` {reason}", .path.display())]
    UnusablePath {
        path: PathBuf,
        /// The problem, as a predicate of the path: `belongs to another user`.
        reason: &'static str,
    },
    /// Another `rework dev` runs in this project.
    #[error("`rework dev` already runs in `{}`: process {pid}", .project.display())]
    AlreadyRunning {
        /// The directory of the project.
        project: PathBuf,
        /// The pid of the other `rework dev`. 0 if it could not be read.
        pid: i32,
    },
    /// A program of Postgres failed.
    #[error("`{program}` failed:\n{output}")]
    Program {
        /// The name of the program, for example `initdb`.
        program: &'static str,
        /// The last lines of the program's output.
        output: String,
    },
    /// The server failed to start, to become ready or to stop, or it exited, or a running server
    /// cannot be used.
    #[error("Postgres {problem}; the last lines of its log:\n{tail}")]
    Server {
        /// The problem, as a predicate of Postgres: `did not start`.
        problem: &'static str,
        /// The last lines of the log.
        tail: String,
        /// The path of the whole log.
        log: PathBuf,
    },
    /// An operation of the file system failed.
    #[error("cannot {action} `{}`", .path.display())]
    System {
        /// The operation as a verb, for example `create`.
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl DevError {
    /// Returns a function for `map_err` that adds the failed operation and its path to an I/O error.
    pub(crate) fn system(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> DevError {
        let path = path.into();
        move |source| DevError::System { action, path, source }
    }

    /// Returns a hint with a command to type. `None` if there is no hint.
    pub fn hint(&self) -> Option<String> {
        match self {
            DevError::NoPostgres { install, .. } => Some(format!(
                "`{install}`; or use an existing database: `rework dev --db postgres://…`"
            )),
            DevError::OtherMajor { data, major } => Some(format!(
                "install Postgres {major}, or delete the data and start again: `rm -r {}`",
                data.display()
            )),
            DevError::AlreadyRunning { .. } => {
                Some("other commands use its database: `rework list-tasks`; to stop it, press Ctrl-C there".into())
            }
            DevError::UnusablePath { path, .. } => {
                Some(format!("rename it: `mv {0} {0}.old`", path.display()))
            }
            DevError::Server { log, .. } => {
                Some(format!("read the whole log: `less {}`", log.display()))
            }
            _ => None,
        }
    }
}

/// Returns the versions that are too old, as an addition to a message.
fn found(too_old: &[String]) -> String {
    if too_old.is_empty() { String::new() } else { format!(", only {}", too_old.join(", ")) }
}
