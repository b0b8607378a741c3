//! What can go wrong between us and Postgres, each with what to do about it.
//!
//! The messages contain the words of the server or of the system. The errors that hold these words are not
//! returned as sources, so that whoever prints an error with its causes prints them once.

use tokio_postgres::error::SqlState;

/// The result of what speaks with Postgres.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server, or it refused.
    #[error("cannot connect to Postgres at {place}: {why}")]
    Connect {
        /// `localhost:5432`.
        place: String,
        /// The server's or the system's own words.
        why: String,
        /// Whether the answer was that it is there for nobody: no process listens, or it starts or
        /// recovers. A server that shuts down may still serve who is connected.
        nobody: bool,
    },
    /// The server answered that it does not let us in: the password, the role, `pg_hba.conf`.
    #[error("Postgres at {place} does not let us in: {why}")]
    Denied {
        /// `localhost:5432`.
        place: String,
        /// The server's own words.
        why: String,
    },
    /// There is no such database.
    #[error("there is no database `{database}` at {place}")]
    NoDatabase {
        /// Its name.
        database: String,
        /// `localhost:5432`.
        place: String,
    },
    /// No answer to the attempt to connect.
    #[error("Postgres at {place} did not answer in time")]
    ConnectTimeout {
        /// `localhost:5432`.
        place: String,
    },
    /// The DSN cannot be read, or one of its options.
    #[error("`{dsn}` does not name a database: {what}")]
    BadDsn {
        /// Without its password.
        dsn: String,
        /// What is wrong.
        what: String,
    },
    /// The connection cannot be encrypted as it is to be.
    #[error("the connection to {place} cannot be encrypted as it is to be: {why}")]
    Tls {
        /// `localhost:5432`.
        place: String,
        why: String,
    },
    /// A statement took too long; its connection was closed.
    #[error("Postgres did not answer within {seconds} s")]
    Deadline {
        /// The deadline.
        seconds: u64,
    },
    /// One of our own functions refused: its words, and its hint.
    #[error("{message}")]
    Refused {
        message: String,
        /// What to do.
        hint: Option<String>,
        /// Our SQLSTATE, `RW404`.
        code: String,
    },
    /// There is no schema `rework`.
    #[error("there is no rework schema in database `{database}`")]
    SchemaAbsent {
        /// Its name.
        database: String,
    },
    /// The schema is older than this binary.
    #[error("the rework schema is at version {has}, this `rework` needs {needs}")]
    SchemaOld {
        /// Its version.
        has: i32,
        /// Ours.
        needs: i32,
    },
    /// The schema is newer, and does not serve this binary any more.
    #[error(
        "the rework schema is at version {has} and serves binaries from {serves} on; this \
         `rework` {binary} is at {ours}"
    )]
    SchemaNew {
        /// Its version.
        has: i32,
        /// The oldest that it serves.
        serves: i32,
        ours: i32,
        /// Our version.
        binary: &'static str,
    },
    /// Chapters of the schema are not those of this binary, though their numbers are.
    #[error(
        "the schema `rework` of database `{database}` was made by another, unreleased build of \
         rework: chapter {chapter} differs"
    )]
    SchemaForeign {
        /// The database's name.
        database: String,
        /// The first one that differs: `13 (claim)`.
        chapter: String,
    },
    /// A migration failed.
    #[error("the schema could not be brought up to date: {}", migration_words(.0))]
    Migration(Box<refinery::Error>),
    /// A lease is not ours any more.
    #[error("the lease was taken away")]
    LeaseLost,
    /// A column holds a value that no `rework` writes.
    #[error("the column `{column}`{of} cannot be read: {why}")]
    Unreadable {
        /// Its name.
        column: &'static str,
        /// ` of schedule 7`, or nothing.
        of: String,
        /// Why.
        why: String,
        /// A statement that shows the row, if it is one of a table.
        query: Option<String>,
    },
    /// More columns are read than a statement has.
    #[error("Postgres answered without a column that is read")]
    NoColumn,
    /// A statement that always answers with a row did not.
    #[error("Postgres answered without a row")]
    NoRow,
    /// Anything else that Postgres says.
    #[error("{}", words(.0))]
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
    /// Why connecting failed, told apart by what can be done about it.
    pub(crate) fn connecting(
        place: String,
        database: &str,
        error: &tokio_postgres::Error,
    ) -> Error {
        let why = words(error);
        match error.code() {
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                Error::NoDatabase { database: database.to_owned(), place }
            }
            Some(code) if code.code().starts_with("28") => Error::Denied { place, why },
            Some(code) => {
                let nobody = *code == SqlState::CANNOT_CONNECT_NOW && starts_or_recovers(&why);
                Error::Connect { place, why, nobody }
            }
            None if error.to_string().contains("TLS handshake") => Error::Tls { place, why },
            None if why.contains("password missing") => Error::Denied { place, why },
            None => {
                let refused = std::error::Error::source(error)
                    .and_then(|source| source.downcast_ref::<std::io::Error>())
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
                Error::Connect { place, why, nobody: refused }
            }
        }
    }

    /// The database is away, or this connection of it: worth another try on a new one.
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

    /// Postgres cannot store the value: not as this type, or not of this size.
    pub fn is_data(&self) -> bool {
        let Error::Database(e) = self else { return false };
        e.code().is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("54"))
    }

    /// A table that the statement names is not there.
    pub(crate) fn is_undefined_table(&self) -> bool {
        matches!(self, Error::Database(e) if e.code() == Some(&SqlState::UNDEFINED_TABLE))
    }

    /// Somebody else's transaction holds a row for too long.
    pub fn is_locked(&self) -> bool {
        matches!(self, Error::Database(e) if e.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// What to do about it, as a sentence with a command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::BadDsn { .. } => Some(
                "give it as `postgres://user:password@host:5432/database`, or as `host=… dbname=…`"
                    .into(),
            ),
            Error::Connect { place, .. } | Error::ConnectTimeout { place } => {
                Some(format!("is Postgres running at {place}? `rework dev` brings one of its own"))
            }
            Error::Denied { .. } => {
                Some("check user and password; `psql DSN` must be let in too".into())
            }
            Error::NoDatabase { database, .. } => Some(format!("make it: `createdb {database}`")),
            Error::Tls { .. } => Some(
                "`psql` with the same DSN must be let in too; see `sslmode` and `sslrootcert` in docs/cli.md"
                    .into(),
            ),
            Error::SchemaAbsent { .. } | Error::SchemaOld { .. } => {
                Some("run `rework init-db DSN`; it adds what is missing and drops nothing".into())
            }
            Error::SchemaNew { .. } => Some("use a newer `rework`".into()),
            Error::SchemaForeign { .. } => Some(
                "use the `rework` that made it; or make it anew: `drop schema rework cascade` in \
                 `psql DSN`, which loses its tasks, then `rework init-db DSN`"
                    .into(),
            ),
            Error::Unreadable { query: Some(query), .. } => Some(format!(
                "`rework` writes no such value: see it by `psql DSN -c \"{query}\"`, and correct it"
            )),
            Error::Refused { hint, .. } => hint.clone(),
            Error::Database(e) if e.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Some(
                "connect as a role that has this right, or have the owner of the schema grant it"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// In the words of a server that speaks English; of another one it is not known.
pub(crate) fn starts_or_recovers(why: &str) -> bool {
    ["starting up", "in recovery", "not yet accepting"].iter().any(|words| why.contains(words))
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

/// The server's own sentence, or else the system's, without the number that follows it.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => db.message().to_owned(),
        (None, Some(source)) => {
            let said = source.to_string();
            said.split_once(" (os error ").map_or(said.as_str(), |(words, _)| words).to_owned()
        }
        (None, None) => error.to_string(),
    }
}

/// What the migration runner says, with the words of Postgres if a statement failed.
fn migration_words(error: &refinery::Error) -> String {
    let failed = std::error::Error::source(error);
    match failed.and_then(|source| source.downcast_ref::<tokio_postgres::Error>()) {
        Some(failed) => words(failed),
        None => error.to_string(),
    }
}
