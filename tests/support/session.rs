//! A connection of a test's own: it looks at the tables behind the product's back.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls, Row};

/// A connection that waits for its answers.
pub(crate) struct Session {
    dsn: String,
    client: RefCell<Rc<Client>>,
    runtime: Runtime,
}

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session {
    /// Connects.
    pub(crate) fn open(dsn: &str) -> Session {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = RefCell::new(Rc::new(connect(&runtime, dsn)));
        Session { dsn: dsn.to_owned(), client, runtime }
    }

    /// The connection; made anew where the server has been away.
    fn client(&self) -> Rc<Client> {
        let mut client = self.client.borrow_mut();
        // Only while somebody waits does the connection notice that it has ended.
        drop(self.runtime.block_on(client.batch_execute("")));
        if client.is_closed() {
            *client = Rc::new(connect(&self.runtime, &self.dsn));
        }
        Rc::clone(&client)
    }

    /// Rows of a statement.
    pub(crate) fn rows(&self, sql: &str, params: Params<'_>) -> Vec<Row> {
        let rows = self.runtime.block_on(self.client().query(sql, params));
        rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The first column of the one row.
    pub(crate) fn one<T: FromSqlOwned>(&self, sql: &str, params: Params<'_>) -> T {
        let rows = self.rows(sql, params);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].get(0)
    }

    /// The first column of all rows.
    pub(crate) fn all<T: FromSqlOwned>(&self, sql: &str, params: Params<'_>) -> Vec<T> {
        self.rows(sql, params).iter().map(|row| row.get(0)).collect()
    }

    /// Statements without parameters and without answers.
    pub(crate) fn run(&self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// As `run`, where it may be refused.
    pub(crate) fn try_run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(self.client().batch_execute(sql))
    }

    /// Has the server check a statement, with types that it infers.
    pub(crate) fn try_prepare(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(self.client().prepare(sql)).map(drop)
    }

    /// The first column of the one row, or the SQLSTATE with which the server refused it.
    pub(crate) fn try_one<T: FromSqlOwned>(
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

fn connect(runtime: &Runtime, dsn: &str) -> Client {
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(dsn, NoTls)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to the test server: {error:?}"));
        tokio::spawn(connection);
        client
    })
}
