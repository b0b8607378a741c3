//! The errors of a monitor that does not start, or does not go on.

use std::net::SocketAddr;

/// Why a monitor does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another monitor keeps workers of the same host and domain.
    #[error("monitor {id} (pid {pid}) already serves {domains} on host `{host}`")]
    Taken {
        /// The other one.
        id: i64,
        /// Its pid, in its own pid namespace.
        pid: i32,
        /// The host.
        host: String,
        /// `domain default` or `domains default, images`, with backquotes.
        domains: String,
    },
    /// This machine cannot hold process trees as it was asked to.
    #[error(transparent)]
    Containment(#[from] rework_process::DetectError),
    /// The database.
    #[error(transparent)]
    Database(#[from] rework_core::db::error::Error),
    /// Nobody could ask for its health.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The machine.
    #[error("{what}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What to do about it, as a sentence with a command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Taken { .. } => Some(
                "stop that one, or serve other domains beside it: `rework monitor --domain NAME`"
                    .to_owned(),
            ),
            Error::Database(error) => error.hint(),
            Error::Containment(_) => Some(
                "leave out `--containment` and `--memory`: the best that can be had is taken"
                    .to_owned(),
            ),
            Error::Listen { .. } => {
                Some("name another one: `--listen 127.0.0.1:0` takes any port".to_owned())
            }
            Error::System { .. } => None,
        }
    }
}
