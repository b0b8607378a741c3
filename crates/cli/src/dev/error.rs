//! What can keep `rework dev` from coming up, each with what to do about it.

use std::{io, path::PathBuf};

/// The oldest major version of Postgres that rework works with.
pub(crate) const OLDEST: u32 = 14;

/// Why a private installation did not come up, or did not stop.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// No server's programs were found.
    #[error("no Postgres server of version {OLDEST} or newer is installed here{}", found(.too_old))]
    NoPostgres {
        /// What was found and is of no use: `15 in /usr/lib/…`.
        too_old: Vec<String>,
        /// The command that installs one.
        install: String,
    },
    /// The data was made by a version that is not installed any more.
    #[error("`{}` was made by Postgres {major}, which is not installed here", .data.display())]
    OtherMajor {
        /// The data directory.
        data: PathBuf,
        /// Its version.
        major: u32,
    },
    /// We are root, and there is nobody else to run the server as.
    #[error("Postgres refuses to run as root, and there is no user `postgres` or `nobody`")]
    NoServerUser,
    /// A directory that must be ours alone is not.
    #[error("`{}` {why}", .path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another one runs in this project.
    #[error("`rework dev` already runs in `{}`: process {pid}", .project.display())]
    AlreadyRunning {
        /// Its directory.
        project: PathBuf,
        /// Its process; 0 where it did not say.
        pid: i32,
    },
    /// A program of Postgres failed.
    #[error("`{program}` failed:\n{output}")]
    Program {
        /// `initdb`.
        program: &'static str,
        /// The last lines of what it wrote.
        output: String,
    },
    /// The server ended instead of becoming ready, or did not become ready in time.
    #[error("Postgres {what}; its log says:\n{tail}")]
    Server {
        /// `did not start`.
        what: &'static str,
        /// The last lines of the log.
        tail: String,
        /// The whole log.
        log: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {action} `{}`", .path.display())]
    System {
        /// `create`.
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl DevError {
    /// For `map_err`: what was being done, to what.
    pub(crate) fn system(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> DevError {
        let path = path.into();
        move |source| DevError::System { action, path, source }
    }

    /// What to do about it, with a command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            DevError::NoPostgres { install, .. } => Some(format!(
                "`{install}`; or give `rework dev` a database: `rework dev --db postgres://…`"
            )),
            DevError::OtherMajor { data, major } => Some(format!(
                "install Postgres {major} again, or begin anew: `rm -r {}`",
                data.display()
            )),
            DevError::AlreadyRunning { .. } => {
                Some("other commands find it: `rework list-tasks`; Ctrl-C there ends it".into())
            }
            DevError::NotOurs { path, .. } => {
                Some(format!("move it away: `mv {0} {0}.old`", path.display()))
            }
            DevError::Server { log, .. } => {
                Some(format!("read all of it: `less {}`", log.display()))
            }
            _ => None,
        }
    }
}

fn found(too_old: &[String]) -> String {
    if too_old.is_empty() { String::new() } else { format!(", only {}", too_old.join(", ")) }
}
