//! The errors of working with Postgres, each with advice for the user.
//!
//! The messages contain the message of the server or of the operating system. The errors that these come from are not
//! returned as sources. Otherwise a caller that prints an error with its sources would print the message twice.

mod connecting;
mod hint;
mod server_text;

use tokio_postgres::error::SqlState;

use crate::db::outage::Outage;

pub(crate) use self::connecting::serves_nobody;
pub(crate) use self::server_text::server_message;
use self::server_text::{message_with_detail, server_hint};

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
        /// Proof that no client can change the database now. `None` if there is no such proof.
        outage: Option<Outage>,
    },
    /// The server was reached, but it is a standby, or another server than `target_session_attrs` requires.
    #[error("Postgres at {server} cannot be used: {why}")]
    Unsuitable {
        server: String,
        why: String,
        /// Proof that no client can change the database now. `None` if there is no such proof.
        outage: Option<Outage>,
    },
    /// The server has as many connections as it may have.
    #[error("Postgres at {server} accepts no further connection: {why}")]
    TooManyConnections { server: String, why: String },
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
    /// The DSN, its service or the environment has a parameter of libpq that rework cannot give its meaning.
    #[error("the connection parameter `{name}` is not supported: {why}")]
    UnsupportedParameter { name: &'static str, why: &'static str },
    /// The TLS connection that `sslmode` requires cannot be established.
    #[error("cannot establish a TLS connection to {server}: {why}")]
    Tls { server: String, why: String },
    /// A statement missed its deadline. Its connection was closed.
    #[error("Postgres did not answer within {seconds} s")]
    Deadline {
        /// The deadline of the statement.
        seconds: u64,
    },
    /// The connection was closed, and the server or the operating system gave a reason before.
    #[error("the connection to Postgres has ended: {why}")]
    ConnectionEnded {
        why: String,
        /// The SQLSTATE of the reason. `None` if the server gave none.
        code: Option<String>,
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
    /// The database has another encoding than UTF-8, so it cannot store every text.
    #[error("the database `{database}` has the encoding {encoding}, and rework needs UTF8")]
    OtherEncoding { database: String, encoding: String },
    /// A step of creating or upgrading the schema failed.
    #[error("the schema could not be brought up to date: {step}: {why}")]
    Migration {
        /// The step, such as `error applying migration V13__claim`.
        step: String,
        /// The message of the server, with its detail.
        why: String,
        /// The hint of the server. `None` if it gave none.
        hint: Option<String>,
    },
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
    /// Returns the error of a step of creating or upgrading the schema, with everything that the server said. A missing
    /// right, and an error that does not come from the server, stay as they are.
    pub(crate) fn in_migration(self, step: &str) -> Error {
        match self {
            Error::Database(error)
                if error.code().is_some_and(|code| *code != SqlState::INSUFFICIENT_PRIVILEGE) =>
            {
                Error::of_migration(step.to_owned(), &error)
            }
            other => other,
        }
    }

    /// Returns the error of a statement with which a step of the migration failed.
    pub(crate) fn of_migration(step: String, error: &tokio_postgres::Error) -> Error {
        Error::Migration { step, why: message_with_detail(error), hint: server_hint(error) }
    }

    /// Returns the proof that no client can change the database, if this error contains it.
    pub(crate) fn outage(&self) -> Option<Outage> {
        match self {
            Error::Connect { outage, .. } | Error::Unsuitable { outage, .. } => *outage,
            _ => None,
        }
    }

    /// Returns whether the database or the connection is unavailable, so that a retry on a new connection makes sense.
    pub fn is_connection(&self) -> bool {
        match self {
            Error::Connect { .. }
            | Error::Unsuitable { .. }
            | Error::TooManyConnections { .. }
            | Error::ConnectTimeout { .. }
            | Error::ConnectionEnded { .. }
            | Error::Deadline { .. } => true,
            Error::Database(e) => {
                e.is_closed()
                    || e.code().is_some_and(is_starting_or_stopping)
                    || (e.code().is_none() && std::error::Error::source(e).is_some_and(is_io))
            }
            _ => false,
        }
    }

    /// Returns whether the same request may succeed later, without a change of the request: the database is
    /// unavailable, or it refuses for a reason that somebody can remove, such as a full disk, a missing right or a
    /// read-only server.
    pub fn may_pass(&self) -> bool {
        match self {
            Error::Denied { .. }
            | Error::NoDatabase { .. }
            | Error::Tls { .. }
            | Error::SchemaMissing { .. }
            | Error::SchemaOld { .. } => true,
            // SQLSTATE class 23: the value violates a constraint.
            Error::Database(e) => {
                !self.is_data() && !e.code().is_some_and(|code| code.code().starts_with("23"))
            }
            _ => self.is_connection(),
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
