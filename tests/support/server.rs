//! The Postgres server that all tests share, named by `REWORK_TEST_DSN`, and the template database.
//!
//! The database of each test is a copy of the template, because copying is faster than running all migrations. The
//! first test after a change of the migrations makes a new template.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::OnceLock;

use rework_core::db::dsn::Dsn;
use tokio_postgres::{Config, config::Host};

use super::session::Session;

/// Key of the advisory lock that a process holds while it makes a template. The value is arbitrary ("temp" in ASCII).
const TEMPLATE_LOCK: i64 = 0x7465_6d70;

/// Returns the connection settings of `REWORK_TEST_DSN`, always with a password.
pub(crate) fn config() -> Config {
    let dsn =
        std::env::var("REWORK_TEST_DSN").expect("REWORK_TEST_DSN is not set: run `make test`");
    let mut config: Config = dsn.parse().expect("REWORK_TEST_DSN is a valid DSN");
    if config.get_password().is_none() {
        // A server with `trust` authentication accepts any password. `password_leaks.rs` needs one to search for.
        config.password("unasked-for-password");
    }
    config
}

/// Returns the superuser of the server.
pub(crate) fn user() -> String {
    config().get_user().unwrap_or("postgres").to_owned()
}

/// Returns the password of the superuser.
pub(crate) fn password() -> String {
    String::from_utf8_lossy(config().get_password().unwrap_or_default()).into_owned()
}

/// Returns the port of the server.
pub(crate) fn port() -> u16 {
    config().get_ports().first().copied().unwrap_or(5432)
}

/// Returns the DSN of a database of the server for this user and password.
pub(crate) fn dsn(user: &str, password: &str, database: &str) -> String {
    let config = config();
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        other => panic!("REWORK_TEST_DSN has no TCP host: {other:?}"),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres://{user}:{password}@{host}:{port}/{database}")
}

/// Returns the DSN of a database of the server for its superuser.
pub(crate) fn superuser_dsn(database: &str) -> String {
    let config = config();
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    dsn(config.get_user().unwrap_or("postgres"), &password, database)
}

/// Returns the name of the template, a database with the schema of rework. Makes it if it does not exist.
///
/// Postgres copies a database only if nobody is connected to it, so tests must not connect to the template.
pub(crate) fn template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = format!("rework_template_{:016x}", schema_hash());
        let server = Session::open(&superuser_dsn("postgres"));
        server.execute(&format!("select pg_advisory_lock({TEMPLATE_LOCK})"));
        let exists: bool = server.query_value(
            "select exists (select from pg_database where datname = $1)",
            &[&name.as_str()],
        );
        if !exists {
            make_template(&server, &name);
        }
        name
    })
}

/// Makes the template. It has another name until it is complete, so that an interrupted test leaves no half template.
fn make_template(server: &Session, name: &str) {
    let unfinished = format!("{name}_unfinished");
    server.execute(&format!("drop database if exists {unfinished}"));
    server.execute(&format!("create database {unfinished}"));
    let dsn = Dsn::parse(&superuser_dsn(&unfinished)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(rework_core::admin::schema::migrate(&dsn)).expect("the migrations apply");
    drop(runtime);
    // Renaming fails until the server process of the closed connection has ended.
    super::wait::until("nobody is connected to the template", String::new, || {
        server.try_execute(&format!("alter database {unfinished} rename to {name}")).is_ok()
    });
}

/// Returns a number that changes when a file in `migrations` changes, and every day.
fn schema_hash() -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).unwrap().hash(&mut hasher);
    }
    // The migrations make partitions for the current date, so a template of an earlier day lacks those of today.
    chrono::Utc::now().date_naive().hash(&mut hasher);
    hasher.finish()
}
