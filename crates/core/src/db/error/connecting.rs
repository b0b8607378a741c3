//! The errors of connection attempts, by what the user can do about them.

use tokio_postgres::error::SqlState;

use super::{Error, server_text::server_message};

impl Error {
    /// Classifies the error of a connection attempt. `server` is host and port, for messages.
    pub(crate) fn connecting(
        server: String,
        database: &str,
        error: &tokio_postgres::Error,
    ) -> Error {
        let why = server_message(error);
        match error.code() {
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                Error::NoDatabase { database: database.to_owned(), server }
            }
            Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
                Error::TooManyConnections { server, why }
            }
            // SQLSTATE class 28: invalid authorization specification.
            Some(code) if code.code().starts_with("28") => Error::Denied { server, why },
            // Without an SQLSTATE the error comes from the library, which names the kind in its text alone.
            None if error.to_string().contains("TLS handshake") => Error::Tls { server, why },
            None if why.contains("password missing") => Error::Denied { server, why },
            _ => Error::Connect { server, why, outage: None },
        }
    }
}

/// Returns whether the error of a connection attempt to one address means that no client is served there: no process
/// listens, or the server is starting or recovering. A server that shuts down does not count, as it may still serve its
/// connections.
pub(crate) fn serves_nobody(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            *code == SqlState::CANNOT_CONNECT_NOW
                && is_starting_or_recovering(&server_message(error))
        }
        None => std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused),
    }
}

/// Returns whether a server's message says that it is starting or recovering.
///
/// Only English messages are recognised. A server with another `lc_messages` is treated as one that may serve others.
/// The last message comes from a standby that does not allow reads.
fn is_starting_or_recovering(message: &str) -> bool {
    ["starting up", "in recovery", "not yet accepting", "not accepting connections"]
        .iter()
        .any(|part| message.contains(part))
}
