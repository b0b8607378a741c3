//! A database for one test: made from the template, dropped at its end.

use std::sync::atomic::{AtomicU32, Ordering};

use rework_core::db::dsn::Dsn;

use super::cluster::Cluster;
use super::server;
use super::session::Session;

/// A database with the schema in it.
pub(crate) struct Database {
    name: String,
    dsn: String,
    session: Option<Session>,
    /// It goes with its server.
    lasting: bool,
}

impl Database {
    /// Makes one.
    pub(crate) fn new() -> Database {
        Database::from_template(Some(server::template()))
    }

    /// Makes one without our schema.
    pub(crate) fn empty() -> Database {
        Database::from_template(None)
    }

    fn from_template(template: Option<&str>) -> Database {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("rework_test_{}_{number}", std::process::id());
        let server = Session::open(&server::own_dsn("postgres"));
        server.run(&format!("drop database if exists {name} with (force)"));
        let from = template.map(|template| format!(" template {template}")).unwrap_or_default();
        server.run(&format!("create database {name}{from}"));
        let dsn = server::own_dsn(&name);
        let session = Some(Session::open(&dsn));
        Database { name, dsn, session, lasting: false }
    }

    /// Makes one on a server of the test's own.
    pub(crate) fn on(cluster: &Cluster) -> Database {
        let (name, dsn) = ("jobs".to_owned(), cluster.dsn("jobs"));
        Session::open(&cluster.dsn("postgres")).run("create database jobs");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parsed = Dsn::parse(&dsn).unwrap();
        runtime
            .block_on(rework_core::admin::schema::migrate(&parsed))
            .expect("the migrations apply");
        Database { name, session: Some(Session::open(&dsn)), dsn, lasting: true }
    }

    /// One that is there already, on a server of the test's own.
    pub(crate) fn restored(cluster: &Cluster) -> Database {
        let (name, dsn) = ("jobs".to_owned(), cluster.dsn("jobs"));
        Database { name, session: Some(Session::open(&dsn)), dsn, lasting: true }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, for the server's superuser, with a password.
    pub(crate) fn dsn(&self) -> String {
        self.dsn.clone()
    }

    /// The test's own connection to it.
    pub(crate) fn session(&self) -> &Session {
        self.session.as_ref().expect("it is there until the end")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.session = None;
        if self.lasting {
            return;
        }
        let server = Session::open(&server::own_dsn("postgres"));
        if let Err(error) = server.try_run(&format!("drop database {} with (force)", self.name)) {
            eprintln!("{}: {error:?}", self.name);
        }
    }
}
