//! The database of one test. It is copied from a template (`server.rs`) and dropped at the end of the test.

use std::sync::atomic::{AtomicU32, Ordering};

use rework_core::db::dsn::Dsn;

use super::cluster::Cluster;
use super::server;
use super::session::Session;

/// A Postgres database of a test, with a connection to it.
pub(crate) struct Database {
    name: String,
    dsn: String,
    session: Option<Session>,
    /// Whether the database is not dropped, because its server is removed with all its files.
    is_kept: bool,
}

impl Database {
    /// Makes a database with the schema of rework on the server of the tests.
    pub(crate) fn new() -> Database {
        Database::from_template(Some(server::template()))
    }

    /// Makes a database without the schema of rework on the server of the tests.
    pub(crate) fn empty() -> Database {
        Database::from_template(None)
    }

    fn from_template(template: Option<&str>) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rework_test_{}_{number}", std::process::id());
        let server = Session::open(&server::superuser_dsn("postgres"));
        server.execute(&format!("drop database if exists {name} with (force)"));
        let from = template.map(|template| format!(" template {template}")).unwrap_or_default();
        server.execute(&format!("create database {name}{from}"));
        let dsn = server::superuser_dsn(&name);
        let session = Some(Session::open(&dsn));
        Database { name, dsn, session, is_kept: false }
    }

    /// Makes the database `jobs` with the schema of rework on a server that the test has started.
    pub(crate) fn on_cluster(cluster: &Cluster) -> Database {
        let (name, dsn) = ("jobs".to_owned(), cluster.dsn("jobs"));
        Session::open(&cluster.dsn("postgres")).execute("create database jobs");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parsed = Dsn::parse(&dsn).unwrap();
        runtime
            .block_on(rework_core::admin::schema::migrate(&parsed))
            .expect("the migrations apply");
        Database { name, session: Some(Session::open(&dsn)), dsn, is_kept: true }
    }

    /// Opens the existing database `jobs` on the first of these servers that accepts writes.
    pub(crate) fn on_servers(servers: &[&Cluster]) -> Database {
        let hosts: Vec<String> =
            servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        let hosts = hosts.join(",");
        let dsn = format!("postgres://rework@{hosts}/jobs?target_session_attrs=read-write");
        Database { name: "jobs".to_owned(), session: Some(Session::open(&dsn)), dsn, is_kept: true }
    }

    /// Opens the existing database `jobs` on a server that the test has started.
    pub(crate) fn restored_on(cluster: &Cluster) -> Database {
        let (name, dsn) = ("jobs".to_owned(), cluster.dsn("jobs"));
        Database { name, session: Some(Session::open(&dsn)), dsn, is_kept: true }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the DSN of the database for the superuser of the server.
    pub(crate) fn dsn(&self) -> String {
        self.dsn.clone()
    }

    /// Returns the connection of the test to this database.
    pub(crate) fn session(&self) -> &Session {
        self.session.as_ref().expect("only `drop` removes the session")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.session = None;
        if self.is_kept {
            return;
        }
        let server = Session::open(&server::superuser_dsn("postgres"));
        if let Err(error) = server.try_execute(&format!("drop database {} with (force)", self.name))
        {
            eprintln!("{}: {error:?}", self.name);
        }
    }
}
