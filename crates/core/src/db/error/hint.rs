//! The advice that an error gives to the user.

use tokio_postgres::error::SqlState;

use super::{Error, server_text::server_hint};

/// The advice if a server is a standby, or allows only reads.
const NAME_ALL_SERVERS: &str = "name the primary, or all servers: \
     `postgres://user@first,second/database?target_session_attrs=read-write`; \
     `psql DSN -c 'show transaction_read_only'` shows whether a server allows only reads";

impl Error {
    /// Returns advice for the user, as a sentence with a command to type. `None` if there is no
    /// advice.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::SchemaMissing { .. } | Error::SchemaOld { .. } => {
                "run `rework init-db DSN`; it adds what is missing and drops nothing".to_owned()
            }
            Error::SchemaNew { .. } => "use a newer `rework`".to_owned(),
            Error::SchemaMismatch { .. } => {
                "use the `rework` that created it; or create it again, which deletes all tasks: \
                 `psql DSN -c 'drop schema rework cascade'`, then `rework init-db DSN`"
                    .to_owned()
            }
            Error::OtherEncoding { database, .. } => format!(
                "create another database: `createdb --template=template0 --encoding=UTF8 {database}_utf8`"
            ),
            Error::Migration { hint: Some(hint), .. } => hint.clone(),
            Error::Migration { .. } => {
                "remove the cause, and run `rework init-db DSN` again: it continues there"
                    .to_owned()
            }
            Error::Unreadable { query: Some(query), .. } => format!(
                "`rework` does not write such a value: show the row with `psql DSN -c \"{query}\"`, and correct it"
            ),
            Error::Refused { hint, .. } => return hint.clone(),
            Error::Database(error) => return database_hint(error),
            _ => return self.connection_hint(),
        };
        Some(hint)
    }

    /// Returns the advice of an error of a connection attempt.
    fn connection_hint(&self) -> Option<String> {
        let hint = match self {
            Error::BadDsn { .. } => {
                "write it as `postgres://user:password@host:5432/database` or `host=… dbname=…`"
                    .to_owned()
            }
            Error::UnsupportedParameter { .. } => {
                "remove it from the DSN, the service and the environment; docs/cli.md has a table of all parameters"
                    .to_owned()
            }
            Error::Connect { server, .. } | Error::ConnectTimeout { server } => {
                format!("is Postgres running at {server}? `rework dev` starts a server of its own")
            }
            Error::Unsuitable { .. } => NAME_ALL_SERVERS.to_owned(),
            Error::TooManyConnections { .. } => {
                "raise `max_connections`, or connect through a pooler: see docs/scaling.md#connections"
                    .to_owned()
            }
            Error::Denied { .. } => {
                "check user and password: `psql DSN` must be able to log in too".to_owned()
            }
            Error::NoDatabase { database, .. } => format!("create it: `createdb {database}`"),
            Error::Tls { .. } => {
                "check that `psql` connects with the same DSN; see `sslmode` and `sslrootcert` in docs/cli.md"
                    .to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }
}

/// Returns the advice for an error of the server: our own, else that of the server.
fn database_hint(error: &tokio_postgres::Error) -> Option<String> {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Some(
            "connect as a role that has this right, or let the owner of the schema grant it: \
             `rework init-db DSN --grant RIGHTS=ROLE`"
                .to_owned(),
        ),
        Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            Some(NAME_ALL_SERVERS.to_owned())
        }
        _ => server_hint(error),
    }
}
