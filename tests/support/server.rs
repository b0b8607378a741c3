//! The Postgres server that the tests were given, and the template from which each test's database
//! is made: migrated once for each state of the migrations, by whoever comes first.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::OnceLock;

use rework_core::db::dsn::Dsn;
use tokio_postgres::{Config, config::Host};

use super::session::Session;

/// Serialises whoever makes a template; any number that nobody else uses.
const TEMPLATE_LOCK: i64 = 0x7465_6d70;

/// The server's own database, as the environment names it.
pub(crate) fn config() -> Config {
    let dsn = std::env::var("REWORK_TEST_DSN").expect("run the tests by `make test`");
    let mut config: Config = dsn.parse().expect("REWORK_TEST_DSN names a database");
    if config.get_password().is_none() {
        // A server that trusts us takes any: what must not be seen is there to be looked for.
        config.password("unasked-for-password");
    }
    config
}

/// Its superuser.
pub(crate) fn user() -> String {
    config().get_user().unwrap_or("postgres").to_owned()
}

/// That one's password.
pub(crate) fn password() -> String {
    String::from_utf8_lossy(config().get_password().unwrap_or_default()).into_owned()
}

/// Its port.
pub(crate) fn port() -> u16 {
    config().get_ports().first().copied().unwrap_or(5432)
}

/// The DSN of a database of the server, for whom and with which password.
pub(crate) fn dsn(user: &str, password: &str, database: &str) -> String {
    let config = config();
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        other => panic!("REWORK_TEST_DSN names no TCP host: {other:?}"),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres://{user}:{password}@{host}:{port}/{database}")
}

/// The DSN of a database, for the server's superuser.
pub(crate) fn own_dsn(database: &str) -> String {
    let config = config();
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    dsn(config.get_user().unwrap_or("postgres"), &password, database)
}

/// The name of a database with the schema in it and nobody connected to it.
pub(crate) fn template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = format!("rework_template_{:016x}", migrations());
        let server = Session::open(&own_dsn("postgres"));
        server.run(&format!("select pg_advisory_lock({TEMPLATE_LOCK})"));
        let exists: bool = server
            .one("select exists (select from pg_database where datname = $1)", &[&name.as_str()]);
        if !exists {
            make(&server, &name);
        }
        name
    })
}

/// Under another name until it is complete.
fn make(server: &Session, name: &str) {
    let unfinished = format!("{name}_unfinished");
    server.run(&format!("drop database if exists {unfinished}"));
    server.run(&format!("create database {unfinished}"));
    let dsn = Dsn::parse(&own_dsn(&unfinished)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(rework_core::admin::schema::migrate(&dsn)).expect("the migrations apply");
    drop(runtime);
    // A connection that was closed a moment ago may still be there.
    super::wait::until("the template has no visitors", String::new, || {
        server.try_run(&format!("alter database {unfinished} rename to {name}")).is_ok()
    });
}

/// A number that changes when any migration does.
fn migrations() -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).unwrap().hash(&mut hasher);
    }
    // Its partitions are those of the day on which it was made.
    chrono::Utc::now().date_naive().hash(&mut hasher);
    hasher.finish()
}
