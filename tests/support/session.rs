//! A connection to the test's database. Tests use it to read and write the tables directly, without a `rework`
//! command.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls, Row};

/// A connection whose methods block until the server has answered.
pub(crate) struct Session {
    dsn: String,
    client: RefCell<Rc<Client>>,
    runtime: Runtime,
}

/// The start of the message of a panic.
const CANNOT_CONNECT: &str = "cannot connect to the test server";

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session {
    /// Connects to `dsn`. Panics if this is not possible.
    pub(crate) fn open(dsn: &str) -> Session {
        Session::try_open(dsn).unwrap_or_else(|error| panic!("{CANNOT_CONNECT}: {error:?}"))
    }

    /// Connects to `dsn`. `Err` if this is not possible, for example because the server has no free connection.
    pub(crate) fn try_open(dsn: &str) -> Result<Session, tokio_postgres::Error> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = RefCell::new(Rc::new(connect(&runtime, dsn)?));
        Ok(Session { dsn: dsn.to_owned(), client, runtime })
    }

    fn client(&self) -> Rc<Client> {
        self.try_client().unwrap_or_else(|error| panic!("{CANNOT_CONNECT}: {error:?}"))
    }

    /// Returns the connection. Connects again if the server has closed it, as a stopped server does. `Err` if the
    /// server is unavailable.
    fn try_client(&self) -> Result<Rc<Client>, tokio_postgres::Error> {
        let mut client = self.client.borrow_mut();
        // The runtime has a single thread, so the connection reads from its socket only inside `block_on`.
        // Without this empty statement `is_closed` would not know that the server has closed the connection.
        drop(self.runtime.block_on(client.batch_execute("")));
        if client.is_closed() {
            *client = Rc::new(connect(&self.runtime, &self.dsn)?);
        }
        Ok(Rc::clone(&client))
    }

    /// Runs a statement and returns its rows.
    pub(crate) fn query(&self, sql: &str, params: Params<'_>) -> Vec<Row> {
        let rows = self.runtime.block_on(self.client().query(sql, params));
        rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Runs a statement and returns its rows. `Err` if it fails, or if the server is unavailable: then it is not known
    /// whether the statement took effect.
    pub(crate) fn try_query(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let client = self.try_client()?;
        self.runtime.block_on(client.query(sql, params))
    }

    /// Runs a statement that returns exactly one row, and returns the first column.
    pub(crate) fn query_value<T: FromSqlOwned>(&self, sql: &str, params: Params<'_>) -> T {
        let rows = self.query(sql, params);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].get(0)
    }

    /// Runs a statement and returns the first column of all rows.
    pub(crate) fn query_values<T: FromSqlOwned>(&self, sql: &str, params: Params<'_>) -> Vec<T> {
        self.query(sql, params).iter().map(|row| row.get(0)).collect()
    }

    /// Runs one or more statements without parameters. Panics if one fails.
    pub(crate) fn execute(&self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs one or more statements without parameters. `Err` if one fails, or if the server is unavailable.
    pub(crate) fn try_execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let client = self.try_client()?;
        self.runtime.block_on(client.batch_execute(sql))
    }

    /// Prepares a statement, so that the server parses it and infers the types of its parameters.
    pub(crate) fn try_prepare(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(self.client().prepare(sql)).map(drop)
    }

    /// Runs a statement that returns one row, and returns the first column. `Err` with the SQLSTATE if the statement
    /// fails.
    pub(crate) fn try_query_value<T: FromSqlOwned>(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<T, String> {
        match self.runtime.block_on(self.client().query_one(sql, params)) {
            Ok(row) => Ok(row.get(0)),
            Err(error) => Err(error
                .code()
                .map_or_else(|| panic!("{sql}: {error:?}"), |state| state.code().to_owned())),
        }
    }
}

fn connect(runtime: &Runtime, dsn: &str) -> Result<Client, tokio_postgres::Error> {
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    })
}
