//! Connecting to Postgres: which one, with which deadline, and what is heard from it.
//!
//! Every statement is sent unnamed (`query_typed`), so that it is correct behind a pooler in
//! transaction mode; the few that are asked all the time are prepared where the line leads to the
//! server itself (see `connect/prepared_statements.rs`). Each is under a deadline on our side: a connection that missed one
//! is closed, since nobody knows what it would answer next.

mod prepared_statements;

use std::{future::poll_fn, time::Duration};

use tokio::sync::mpsc;
use tokio_postgres::{
    AsyncMessage, Client, Row,
    types::{ToSql, Type},
};

use crate::db::{
    deadline::{CONNECT_TIMEOUT, DEADLINE},
    dsn::Dsn,
    error::{Error, Result},
};
use prepared_statements::Plans;

/// A parameter of a statement, with its type: statements are never described beforehand.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// One connection.
#[derive(Debug)]
pub struct Db {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
    pub(crate) plans: Plans,
}

impl Db {
    /// Connects. `who` becomes the `application_name`: `rework worker 12`.
    pub async fn connect(dsn: &Dsn, who: &str) -> Result<Db> {
        Ok(Db::connect_listening(dsn, who).await?.0)
    }

    /// Connects, and gives what is notified on the channels that it will `listen` to: (channel,
    /// payload). The stream ends with the connection.
    pub async fn connect_listening(
        dsn: &Dsn,
        who: &str,
    ) -> Result<(Db, mpsc::UnboundedReceiver<(String, String)>)> {
        let mut config = dsn.config().clone();
        config.application_name(who);
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT * 2, config.connect(dsn.tls()));
        let (client, mut connection) = match connecting.await {
            Ok(connected) => {
                connected.map_err(|error| Error::connecting(dsn.place(), dsn.database(), &error))?
            }
            Err(_) => return Err(Error::ConnectTimeout { place: dsn.place() }),
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(n) = message {
                    // Nobody listens to most connections: what they are told is dropped.
                    let _ = sender.send((n.channel().to_owned(), n.payload().to_owned()));
                }
            }
        });
        Ok((Db { client, driver, plans: Plans::default() }, receiver))
    }

    /// Rows of a statement.
    pub async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.within(DEADLINE, self.client.query_typed(sql, params)).await
    }

    /// Rows of a statement that must not take as long as others may.
    pub async fn query_soon(
        &self,
        deadline: Duration,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>> {
        self.within(deadline.min(DEADLINE), self.client.query_typed(sql, params)).await
    }

    /// The one row of a statement, if there is one.
    pub async fn query_opt(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The one row of a statement that always has one.
    pub async fn query_one(&self, sql: &str, params: &[Param<'_>]) -> Result<Row> {
        self.query_opt(sql, params).await?.ok_or(Error::NoRow)
    }

    /// Statements without parameters, as a script.
    pub async fn execute_script(&self, sql: &str) -> Result<()> {
        self.within(DEADLINE, self.client.batch_execute(sql)).await
    }

    /// The connection itself, for statements with a deadline of their own.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The connection itself, for transactions.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Waits for an answer; without one in time the connection is closed.
    pub async fn within<T, E>(
        &self,
        deadline: Duration,
        answer: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<T>
    where
        Error: From<E>,
    {
        if let Ok(answered) = tokio::time::timeout(deadline, answer).await {
            return Ok(answered?);
        }
        self.driver.abort();
        Err(Error::Deadline { seconds: deadline.as_secs() })
    }
}
