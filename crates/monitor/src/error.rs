//! The errors with which a monitor does not start, or ends.

use std::net::SocketAddr;

/// The error with which a monitor does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another monitor of the same host already serves one of the domains.
    #[error("monitor {id} (pid {pid}) already serves {domains} on host `{host}`")]
    AlreadyServed {
        /// The id of the other monitor.
        id: i64,
        /// The pid of the other monitor, in its own pid namespace.
        pid: i32,
        host: String,
        /// The domains as text: ``domain `default` `` or ``domains `default`, `images` ``.
        domains: String,
    },
    /// This host does not allow the chosen containment.
    #[error(transparent)]
    Containment(#[from] rework_process::DetectError),
    #[error(transparent)]
    Database(#[from] rework_core::db::error::Error),
    /// The HTTP server for `/health` and `/ready` cannot start.
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// A system call failed.
    #[error("{what}")]
    System {
        /// The message, such as "cannot handle signals".
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Returns a sentence that tells the user what to do, with a command to type. `None` if there is nothing to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::AlreadyServed { .. } => Some(
                "stop that monitor, or serve another domain with this one: `rework monitor --domain NAME`"
                    .to_owned(),
            ),
            Error::Database(error) => error.hint(),
            Error::Containment(_) => Some(
                "omit `--containment` and `--memory`: the monitor then uses the best methods that this host allows"
                    .to_owned(),
            ),
            Error::Listen { .. } => {
                Some("choose another address: `--listen 127.0.0.1:0` takes any free port".to_owned())
            }
            Error::System { .. } => None,
        }
    }
}
