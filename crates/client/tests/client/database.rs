//! Creates a database for one test, on the server that `REWORK_TEST_DSN` names.

use std::sync::atomic::{AtomicU32, Ordering};

use rework_core::db::{connect::Db, dsn::Dsn};
use rework_core::{admin::schema, task};
use serde_json::Value;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

/// The database of one test. It is not dropped: `make test` removes the whole server after the tests.
pub(crate) struct Database {
    dsn: String,
}

impl Database {
    /// Creates a database with the schema of rework.
    pub(crate) async fn new() -> Database {
        let database = Database::without_schema().await;
        schema::migrate(&Dsn::parse(&database.dsn).unwrap()).await.unwrap();
        database
    }

    /// Creates an empty database.
    pub(crate) async fn without_schema() -> Database {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("REWORK_TEST_DSN")
            .unwrap_or_else(|_| panic!("run the tests with `make test`"));
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("rework_client_{}_{number}", std::process::id());
        let client = connect(&server).await;
        client.batch_execute(&format!("drop database if exists {name}")).await.unwrap();
        client.batch_execute(&format!("create database {name}")).await.unwrap();
        Database { dsn: dsn(&server.parse().unwrap(), &name) }
    }

    /// Returns the DSN of the database.
    pub(crate) fn dsn(&self) -> String {
        self.dsn.clone()
    }

    /// Opens a connection that does not belong to a client of rework.
    pub(crate) async fn connect(&self) -> Client {
        connect(&self.dsn).await
    }

    /// Registers an operation on no host, so that its tasks stay queued.
    pub(crate) async fn register(&self, name: &str) {
        let sql = "insert into rework.operation (domain, name) values ('default', $1)";
        self.connect().await.execute(sql, &[&name]).await.unwrap();
    }

    /// Returns a task as JSON, as the command line shows it.
    pub(crate) async fn show(&self, task: i64) -> Value {
        let db = Db::connect(&Dsn::parse(&self.dsn).unwrap(), "test").await.unwrap();
        serde_json::to_value(&task::show::show(&db, &[task]).await.unwrap()[0]).unwrap()
    }

    /// Returns whether the end of a task will be notified.
    pub(crate) async fn notifies_end(&self, task: i64) -> bool {
        let sql = "select notify_end from rework.task where id = $1";
        self.connect().await.query_one(sql, &[&task]).await.unwrap().get(0)
    }

    /// Terminates the connections with an `application_name`. Panics if there are none.
    pub(crate) async fn terminate_connections(&self, application_name: &str) {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                    where application_name = $1 and datname = current_database()";
        let terminated = self.connect().await.query(sql, &[&application_name]).await.unwrap();
        assert!(!terminated.is_empty(), "{application_name} is not connected");
    }
}

async fn connect(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn dsn(server: &Config, database: &str) -> String {
    let [Host::Tcp(host), ..] = server.get_hosts() else {
        panic!("REWORK_TEST_DSN must name a TCP host");
    };
    let password = String::from_utf8_lossy(server.get_password().unwrap_or_default());
    let (user, port) = (server.get_user().unwrap(), server.get_ports()[0]);
    format!("postgres://{user}:{password}@{host}:{port}/{database}")
}
