//! [`Db`], a connection to Postgres: statements with deadlines, and notifications.
//!
//! Every statement is sent unnamed (`query_typed`), so that it works behind a pooler in transaction mode. A few
//! frequent statements are prepared, if the connection goes to the server itself (`connect/prepared_statements.rs`).
//! Every statement has a deadline on our side. A connection that missed one is closed: the late answer could be taken
//! for the answer to the next statement.
//!
//! `connect/attempt.rs` chooses the server, and `connect/facts.rs` asks it about itself.

mod attempt;
mod facts;
mod prepared_statements;

use std::{
    future::poll_fn,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::{OnceCell, mpsc};
use tokio_postgres::{
    AsyncMessage, Client, Config, Row,
    types::{ToSql, Type},
};

use crate::db::{
    deadline::DEADLINE,
    dsn::{Dsn, Tls},
    error::{Error, Result, server_message},
};
use facts::{Endpoint, SessionFacts};
use prepared_statements::PreparedStatements;

/// A parameter of a statement and its type. With known types, no round trip is needed to describe the statement.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// The notifications that a connection receives, as pairs of channel and payload. The receiver ends when the connection
/// is closed.
pub type Notifications = mpsc::UnboundedReceiver<(String, String)>;

/// One connection to Postgres.
#[derive(Debug)]
pub struct Db {
    client: Client,
    /// The task that moves bytes between the socket and `client`. Aborting it closes the connection.
    driver: tokio::task::JoinHandle<()>,
    endpoint: Endpoint,
    facts: OnceCell<SessionFacts>,
    /// Why the connection has ended, with the SQLSTATE if the server gave one. Empty while the connection is open, and
    /// if the server closed it without a reason.
    end: Arc<OnceLock<ConnectionEnd>>,
    pub(crate) prepared: PreparedStatements,
}

/// The reason why a connection has ended.
#[derive(Debug)]
struct ConnectionEnd {
    why: String,
    /// The SQLSTATE, if the server gave one.
    code: Option<String>,
}

impl Db {
    /// Connects to the database. Postgres shows `application_name`, such as `rework worker 12`, in `pg_stat_activity`.
    ///
    /// # Errors
    ///
    /// `Err` if the server is unreachable or refuses the connection; the variants of [`Error`] distinguish the causes.
    pub async fn connect(dsn: &Dsn, application_name: &str) -> Result<Db> {
        Ok(Db::connect_listening(dsn, application_name).await?.0)
    }

    /// Connects, and also returns a receiver of notifications. The caller executes `listen`.
    pub async fn connect_listening(
        dsn: &Dsn,
        application_name: &str,
    ) -> Result<(Db, Notifications)> {
        attempt::connect(dsn, application_name).await
    }

    /// Opens a connection to one address.
    async fn open(
        config: &Config,
        tls: Tls,
        endpoint: Endpoint,
    ) -> std::result::Result<(Db, Notifications), tokio_postgres::Error> {
        let (client, mut connection) = config.connect(tls).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let end = Arc::<OnceLock<ConnectionEnd>>::default();
        let recorded_end = Arc::clone(&end);
        let driver = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notification(n)) => {
                        // Fails if the receiver was dropped, as `connect` does: then the notification is discarded.
                        let _ = sender.send((n.channel().to_owned(), n.payload().to_owned()));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let code = error.code().map(|code| code.code().to_owned());
                        let why = server_message(&error);
                        // The first reason counts.
                        let _ = recorded_end.set(ConnectionEnd { why, code });
                        return;
                    }
                }
            }
        });
        let (facts, prepared) = (OnceCell::new(), PreparedStatements::default());
        Ok((Db { client, driver, endpoint, facts, end, prepared }, receiver))
    }

    /// Executes a statement and returns its rows.
    pub async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.within(DEADLINE, self.client.query_typed(sql, params)).await
    }

    /// Executes a statement and returns its rows. `deadline` may shorten the usual deadline, not extend it.
    pub async fn query_within(
        &self,
        deadline: Duration,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>> {
        self.within(deadline.min(DEADLINE), self.client.query_typed(sql, params)).await
    }

    /// Executes a statement and returns its first row, or `None` if it returned no rows.
    pub async fn query_opt(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Executes a statement that always returns a row, and returns this row.
    pub async fn query_one(&self, sql: &str, params: &[Param<'_>]) -> Result<Row> {
        self.query_opt(sql, params).await?.ok_or(Error::NoRow)
    }

    /// Executes one or more statements without parameters, separated by `;`.
    pub async fn execute_script(&self, sql: &str) -> Result<()> {
        self.within(DEADLINE, self.client.batch_execute(sql)).await
    }

    /// Returns the underlying client, for statements whose deadline the caller sets with [`Db::within`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the underlying client, for transactions.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Returns whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Waits for the answer to a statement on this connection for at most `deadline`.
    ///
    /// # Errors
    ///
    /// `Err` if the statement fails, or if there is no answer in time. In the second case the connection is closed.
    pub async fn within<T, E>(
        &self,
        deadline: Duration,
        answer: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<T>
    where
        Error: From<E>,
    {
        if let Ok(answered) = tokio::time::timeout(deadline, answer).await {
            return answered.map_err(|error| self.explain(Error::from(error)));
        }
        self.driver.abort();
        Err(Error::Deadline { seconds: deadline.as_secs() })
    }

    /// Returns the error of a statement on this connection. If the statement failed because the connection is closed,
    /// the error says why the connection was closed, if that is known.
    pub fn explain(&self, error: Error) -> Error {
        match (&error, self.end.get()) {
            (Error::Database(database), Some(ConnectionEnd { why, code }))
                if database.is_closed() =>
            {
                Error::ConnectionEnded { why: why.clone(), code: code.clone() }
            }
            _ => error,
        }
    }
}
