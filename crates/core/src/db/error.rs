//! The errors of working with Postgres, each with advice for the user.
//!
//! The messages contain the message of the server or of the operating system. The errors that these come from are not
//! returned as sources. Otherwise a caller that prints an error with its sources would print the message twice.

use tokio_postgres::error::SqlState;

/// The result of working with Postgres.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of working with Postgres.
///
/// The fields `server` hold host and port, such as `localhost:5432`. The fields `why` hold the message of the server or
/// of the operating system.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server is reachable, or it refused the connection for a reason that may pass.
    #[error("cannot connect to Postgres at {server}: {why}")]
    Connect {
        server: String,
        why: String,
        /// Whether the answer means that the server serves no client at all: no process listens, or the server is
        /// starting or recovering. A server that shuts down does not count, as it may still serve its connections.
        down_for_everyone: bool,
    },
    /// The server refused the login because of the password, the role, or `pg_hba.conf`.
    #[error("Postgres at {server} refused the login: {why}")]
    Denied { server: String, why: String },
    /// The server has no database of this name.
    #[error("there is no database `{database}` at {server}")]
    NoDatabase { database: String, server: String },
    /// The server did not answer the connection attempt in time.
    #[error("Postgres at {server} did not answer in time")]
    ConnectTimeout { server: String },
    /// The DSN, or one of its options, is not valid.
    #[error("`{dsn}` does not name a database: {why}")]
    BadDsn {
        /// The DSN with its password replaced by `***`.
        dsn: String,
        why: String,
    },
    /// The TLS connection that `sslmode` requires cannot be established.
    #[error("cannot establish a TLS connection to {server}: {why}")]
    Tls { server: String, why: String },
    /// A statement missed its deadline. Its connection was closed.
    #[error("Postgres did not answer within {seconds} s")]
    Deadline {
        /// The deadline of the statement.
        seconds: u64,
    },
    /// A function of the schema raised one of the errors of rework.
    #[error("{message}")]
    Refused {
        message: String,
        hint: Option<String>,
        /// The SQLSTATE. Those of rework begin with `RW`, such as `RW404`.
        code: String,
    },
    /// The database has no schema `rework`.
    #[error("there is no rework schema in database `{database}`")]
    SchemaMissing { database: String },
    /// The schema is older than this binary requires.
    #[error("the rework schema is at version {has}, this `rework` needs {needs}")]
    SchemaOld {
        /// The version of the schema.
        has: i32,
        /// The version that this binary was written for.
        needs: i32,
    },
    /// The schema is newer than this binary and no longer supports it.
    #[error(
        "the rework schema is at version {has} and serves binaries from {serves} on; this \
         `rework` {binary} is at {ours}"
    )]
    SchemaNew {
        /// The version of the schema.
        has: i32,
        /// The oldest binary, by its schema version, that the schema supports.
        serves: i32,
        /// The schema version that this binary was written for.
        ours: i32,
        /// The version of this binary.
        binary: &'static str,
    },
    /// A chapter of the schema (a file of `migrations/`) that was applied to the database has
    /// another text than the chapter with the same number in this binary.
    #[error(
        "the schema `rework` of database `{database}` was made by another, unreleased build of \
         rework: chapter {chapter} differs"
    )]
    SchemaMismatch {
        database: String,
        /// Number and name of the first chapter (a file of `migrations/`) whose text differs, such
        /// as `13 (claim)`.
        chapter: String,
    },
    /// A chapter of the schema could not be applied.
    #[error("the schema could not be brought up to date: {}", migration_message(.0))]
    Migration(Box<refinery::Error>),
    /// Another monitor took the lease away, because it was not renewed in time.
    #[error("the lease was taken away")]
    LeaseLost,
    /// A column contains a value that rework does not write and cannot read.
    #[error("the column `{column}`{of} cannot be read: {why}")]
    Unreadable {
        column: &'static str,
        /// The row as the end of a phrase, such as ` of schedule 7`. Empty if the row is not known.
        of: String,
        why: String,
        /// A statement that shows the row. `None` if the row cannot be identified.
        query: Option<String>,
    },
    /// The code reads more columns than the statement returned. This is a bug.
    #[error("Postgres answered without a column that is read")]
    NoColumn,
    /// A statement that always returns a row returned none.
    #[error("Postgres answered without a row")]
    NoRow,
    /// Any other error of Postgres or of the connection.
    #[error("{}", server_message(.0))]
    Database(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Error::Database(error) };
        if db.code().code().starts_with("RW") {
            return Error::Refused {
                message: db.message().to_owned(),
                hint: db.hint().map(str::to_owned),
                code: db.code().code().to_owned(),
            };
        }
        Error::Database(error)
    }
}

impl Error {
    /// Classifies the error of a connection attempt by what the user can do about it.
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
            // SQLSTATE class 28: invalid authorization specification.
            Some(code) if code.code().starts_with("28") => Error::Denied { server, why },
            Some(code) => {
                let down_for_everyone =
                    *code == SqlState::CANNOT_CONNECT_NOW && is_starting_or_recovering(&why);
                Error::Connect { server, why, down_for_everyone }
            }
            // Without an SQLSTATE the error comes from the library, which names the kind in its text alone.
            None if error.to_string().contains("TLS handshake") => Error::Tls { server, why },
            None if why.contains("password missing") => Error::Denied { server, why },
            None => {
                let refused = std::error::Error::source(error)
                    .and_then(|source| source.downcast_ref::<std::io::Error>())
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
                Error::Connect { server, why, down_for_everyone: refused }
            }
        }
    }

    /// Returns whether the database or the connection is unavailable, so that a retry on a new connection makes sense.
    pub fn is_connection(&self) -> bool {
        match self {
            Error::Connect { .. } | Error::ConnectTimeout { .. } | Error::Deadline { .. } => true,
            Error::Database(e) => {
                e.is_closed()
                    || e.code().is_some_and(is_starting_or_stopping)
                    || (e.code().is_none() && std::error::Error::source(e).is_some_and(is_io))
            }
            _ => false,
        }
    }

    /// Returns whether Postgres refused a value: its type (SQLSTATE class 22) or its size (class 54). A retry would
    /// fail again.
    pub fn is_data(&self) -> bool {
        let Error::Database(e) = self else { return false };
        e.code().is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("54"))
    }

    /// Returns whether a table of the statement does not exist.
    pub(crate) fn is_undefined_table(&self) -> bool {
        matches!(self, Error::Database(e) if e.code() == Some(&SqlState::UNDEFINED_TABLE))
    }

    /// Returns whether the statement gave up waiting for a lock that another transaction holds.
    pub fn is_locked(&self) -> bool {
        matches!(self, Error::Database(e) if e.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Returns whether a row with the same key exists already.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Error::Database(e) if e.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }

    /// Returns advice for the user, as a sentence with a command to type. `None` if there is no
    /// advice.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::BadDsn { .. } => Some(
                "write it as `postgres://user:password@host:5432/database` or `host=… dbname=…`"
                    .into(),
            ),
            Error::Connect { server, .. } | Error::ConnectTimeout { server } => Some(format!(
                "is Postgres running at {server}? `rework dev` starts a server of its own"
            )),
            Error::Denied { .. } => {
                Some("check user and password: `psql DSN` must be able to log in too".into())
            }
            Error::NoDatabase { database, .. } => {
                Some(format!("create it: `createdb {database}`"))
            }
            Error::Tls { .. } => Some(
                "check that `psql` connects with the same DSN; see `sslmode` and `sslrootcert` in docs/cli.md"
                    .into(),
            ),
            Error::SchemaMissing { .. } | Error::SchemaOld { .. } => {
                Some("run `rework init-db DSN`; it adds what is missing and drops nothing".into())
            }
            Error::SchemaNew { .. } => Some("use a newer `rework`".into()),
            Error::SchemaMismatch { .. } => Some(
                "use the `rework` that created it; or create it again, which deletes all tasks: \
                 `psql DSN -c 'drop schema rework cascade'`, then `rework init-db DSN`"
                    .into(),
            ),
            Error::Unreadable { query: Some(query), .. } => Some(format!(
                "`rework` does not write such a value: show the row with `psql DSN -c \"{query}\"`, and correct it"
            )),
            Error::Refused { hint, .. } => hint.clone(),
            Error::Database(e) if e.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Some(
                "connect as a role that has this right, or let the owner of the schema grant it: \
                 `rework init-db DSN --grant RIGHTS=ROLE`"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// Returns whether a server's message says that it is starting or recovering.
///
/// Only English messages are recognised. A server with another `lc_messages` is treated as one that may serve others.
pub(crate) fn is_starting_or_recovering(message: &str) -> bool {
    ["starting up", "in recovery", "not yet accepting"].iter().any(|part| message.contains(part))
}

fn is_io(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<std::io::Error>()
}

fn is_starting_or_stopping(code: &SqlState) -> bool {
    [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::TOO_MANY_CONNECTIONS,
    ]
    .contains(code)
        || code.code().starts_with("08")
}

/// Returns the message of the server; without one, the message of the operating system without its `(os error …)`.
pub(crate) fn server_message(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => db.message().to_owned(),
        (None, Some(source)) => {
            let text = source.to_string();
            text.split_once(" (os error ").map_or(text.as_str(), |(message, _)| message).to_owned()
        }
        (None, None) => error.to_string(),
    }
}

/// Returns the message of Postgres if a statement of a chapter failed, or else the message of the migration library.
fn migration_message(error: &refinery::Error) -> String {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<tokio_postgres::Error>()) {
        Some(error) => server_message(error),
        None => error.to_string(),
    }
}
