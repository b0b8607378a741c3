//! [`Dsn`], the address of a database: servers, user, password and encryption.
//!
//! A DSN is read as `psql` reads it (`dsn/text.rs`). What it leaves out comes from its service (`dsn/service.rs`), from
//! `PG*` variables (`dsn/parameters.rs`) and from the password file (`dsn/passfile.rs`). `dsn/servers.rs` has the
//! servers, `dsn/session_kind.rs` chooses between them, and `dsn/tls.rs` encrypts.

mod library_config;
mod learned;
mod parameters;
mod passfile;
mod password;
pub(crate) mod servers;
mod service;
pub(crate) mod session_kind;
mod text;
mod tls;

use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc, time::Duration};

use tokio_postgres::Config;

use crate::db::error::{Error, Result};
use learned::Learned;
use parameters::Settings;
pub use password::hide_passwords;
use password::{redact, with_password};
use servers::Server;
use session_kind::SessionKind;
pub(crate) use tls::Tls;

/// The address of a database, written `postgres://…` or `host=… …`. Its `Debug` form hides the password.
#[derive(Clone)]
pub struct Dsn {
    text: String,
    database: String,
    servers: Vec<Server>,
    /// The configuration with all servers.
    config: Config,
    session_kind: SessionKind,
    /// Whether the servers are tried in a random order.
    is_balanced: bool,
    tls: Tls,
    notes: Vec<String>,
    learned: Arc<Learned>,
}

impl Dsn {
    /// Parses a DSN, and completes it: first from its service, then from the environment (`PGHOST`, `PGPORT`,
    /// `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE`, …), then the password from the password file.
    ///
    /// # Errors
    ///
    /// `Err` if the text is not a DSN, or if the service or a parameter is not valid or not supported.
    pub fn parse(text: &str) -> Result<Dsn> {
        let bad = |why: String| Error::BadDsn { dsn: redact(text), why };
        let given = text::read(text).map_err(bad)?;
        if let Some(name) = given.keys().find(|name| !parameters::is_known(name)) {
            return Err(bad(format!("there is no connection parameter `{name}`")));
        }
        let (settings, notes) = complete(given).map_err(bad)?;
        if let Some((name, why)) = parameters::refused(&settings) {
            return Err(Error::UnsupportedParameter { name, why });
        }
        let base = library_config::common(&settings).map_err(bad)?;
        let mut servers = servers::read(&settings, &base).map_err(bad)?;
        let tls = Tls::new(&settings, servers.iter().any(Server::uses_tcp)).map_err(bad)?;
        let passwords = || passfile::open(settings.get("passfile").map(String::as_str));
        let passwords = if base.get_password().is_none() { passwords() } else { None };
        for server in &mut servers {
            let password = passwords.as_ref().and_then(|file| passfile::find(file, server));
            if let Some(password) = password {
                server.config.password(password);
            }
            if server.uses_tcp() {
                server.config.ssl_mode(tls.requested_mode()).ssl_negotiation(tls.negotiation());
            } else {
                server.config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            }
        }
        let session_kind = settings.get("target_session_attrs").map(String::as_str);
        let session_kind = SessionKind::parse(session_kind).map_err(bad)?;
        let database = base.get_dbname().or(base.get_user()).unwrap_or("postgres").to_owned();
        Ok(Dsn {
            text: text.to_owned(),
            database,
            config: library_config::of_all(&base, &servers, &tls, session_kind),
            servers,
            session_kind,
            is_balanced: library_config::is_balanced(&settings).map_err(bad)?,
            tls,
            notes,
            learned: Arc::default(),
        })
    }

    /// Returns the same database for a process that writes. Unless the DSN says otherwise, only a server that allows
    /// writes is used.
    #[must_use]
    pub fn for_writing(&self) -> Dsn {
        let session_kind = match self.session_kind {
            SessionKind::Any => SessionKind::ReadWrite,
            given => given,
        };
        Dsn { session_kind, ..self.clone() }
    }

    /// Returns whether a command-line argument is meant as a DSN: it starts with `postgres://` or `postgresql://`, or
    /// with a connection parameter such as `host=`. So is a URL that another program would take for one, such as
    /// `jdbc:postgresql://`: it is then refused with the right error.
    pub fn is_plausible(text: &str) -> bool {
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.:-_".contains(c);
        let is_url = text.split_once("://").is_some_and(|(scheme, _)| {
            let scheme = scheme.to_ascii_lowercase();
            let is_ours = ["postgres", "pgsql"].iter().any(|name| scheme.contains(name));
            is_ours && scheme.chars().all(is_of_scheme) && !scheme.starts_with('-')
        });
        is_url || text.split_once('=').is_some_and(|(name, _)| parameters::is_known(name.trim()))
    }

    /// Returns the DSN as it was given to [`Dsn::parse`], including the password.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the password of the first server, or `None` if there is none. It must not be shown to anybody.
    pub fn password(&self) -> Option<String> {
        let first = self.servers.first()?;
        first.config.get_password().map(|p| String::from_utf8_lossy(p).into_owned())
    }

    /// Returns the passwords of all servers, each once. They must not be shown to anybody.
    pub fn passwords(&self) -> BTreeSet<String> {
        let all = self.servers.iter().filter_map(|server| server.config.get_password());
        all.map(|password| String::from_utf8_lossy(password).into_owned()).collect()
    }

    /// Returns the DSN as it was given. If it has no password, and `password` is the one with which it is completed,
    /// the text contains that password. So the DSN is complete without the environment.
    pub fn text_with_password(&self, password: &str) -> String {
        let is_missing = text::read(&self.text).is_ok_and(|given| !given.contains_key("password"));
        if is_missing && self.password().as_deref() == Some(password) {
            return with_password(&self.text, password);
        }
        self.text.clone()
    }

    /// Returns the DSN as it was given, with `***` in place of the password, for messages.
    pub fn redacted(&self) -> String {
        redact(&self.text)
    }

    /// Returns a note for each parameter in the DSN, or in its service, that has no effect.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns host and port of the servers for messages, for example `localhost:5432`.
    pub fn server(&self) -> String {
        let texts: Vec<String> = self.servers.iter().map(Server::text).collect();
        texts.join(", ")
    }

    /// Returns the name of the database. Without one, Postgres uses the name of the user.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns the servers to which the last connection was direct, as a set of bits by their index in the DSN.
    pub fn direct_servers(&self) -> u64 {
        self.learned.direct()
    }

    /// Adds servers to which another process has found its connections to be direct.
    pub fn add_direct_servers(&self, servers: u64) {
        self.learned.add_direct(servers);
    }

    /// Returns whether the error of a connection attempt proves that no client can change the database now.
    pub fn is_down_for_everyone(&self, error: &Error) -> bool {
        error.outage().is_some_and(|outage| outage.is_proven(self.learned.direct()))
    }

    /// Records whether a connection leads to the server itself, without a pooler or a translation of addresses.
    pub(crate) fn record_direct(&self, server: usize, is_direct: bool) {
        self.learned.record(server, is_direct);
    }

    /// Records the server that accepted the session.
    pub(crate) fn choose(&self, server: usize) {
        self.learned.choose(server);
    }

    /// Returns the servers with their indices, in the order in which they are tried.
    pub(crate) fn servers_in_order(&self) -> Vec<(usize, &Server)> {
        let mut order: Vec<(usize, &Server)> = self.servers.iter().enumerate().collect();
        if self.is_balanced {
            fastrand::shuffle(&mut order);
        } else if self.session_kind != SessionKind::Any {
            // The server that suited last probably still suits. A host that is down may take seconds to find out.
            let chosen = self.learned.chosen();
            order.sort_by_key(|(index, _)| *index != chosen);
        }
        order
    }

    /// Returns which kind of session the server must offer.
    pub(crate) fn session_kind(&self) -> SessionKind {
        self.session_kind
    }

    /// Returns how long a connection attempt to one address may take until the socket is connected.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(library_config::CONNECT_TIMEOUT)
    }

    /// Returns the connector that encrypts connections to this database.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Returns the configuration with all servers, for programs that connect by `tokio_postgres` itself.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Adds what the DSN left out: from its service, then from the environment. Also returns a note for each parameter in
/// the DSN or the service that has no effect.
fn complete(mut settings: Settings) -> Result<(Settings, Vec<String>), String> {
    let mut notes: Vec<String> = parameters::notes(&settings).collect();
    let names_server = settings.contains_key("host") || settings.contains_key("hostaddr");
    let service = settings.get("service").cloned().or_else(|| env_var("PGSERVICE"));
    let mut defaults = match service {
        Some(name) => {
            let service = service::find(&name, settings.get("servicefile").map(String::as_str))?;
            if let Some(key) = service.keys().find(|key| !parameters::is_known(key)) {
                return Err(format!("the service `{name}` has an unknown option `{key}`"));
            }
            notes.extend(parameters::notes(&service));
            service
        }
        None => Settings::new(),
    };
    for (name, variable) in parameters::variables() {
        if let (false, Some(value)) = (defaults.contains_key(name), env_var(variable)) {
            defaults.insert(name.to_owned(), value);
        }
    }
    if names_server {
        defaults.retain(|name, _| name != "host" && name != "hostaddr");
    }
    for (name, value) in defaults {
        settings.entry(name).or_insert(value);
    }
    if let (false, Some(user)) = (settings.contains_key("user"), env_var("USER")) {
        settings.insert("user".to_owned(), user);
    }
    if settings.get("requiressl").is_some_and(|value| value == "1") {
        settings.entry("sslmode".to_owned()).or_insert_with(|| "require".to_owned());
    }
    Ok((settings, notes))
}

/// Returns the value of an environment variable, or `None` if it is unset or empty.
fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the path of a file in the home folder, or `None` if `HOME` is unset.
fn home_path(path: &str) -> Option<PathBuf> {
    env_var("HOME").map(|home| PathBuf::from(home).join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_redacted() {
        for (dsn, shown) in [
            ("postgres://me:s3cret@db:5432/x", "postgres://me:***@db:5432/x"),
            ("postgres://me@db/x", "postgres://me@db/x"),
            ("host=db password=s3cret user=me", "host=db password=*** user=me"),
            ("host=db password = s3cret user=me", "host=db password = *** user=me"),
            (r"password='s3 \'cr et' host=db", "password=*** host=db"),
            ("password=s3:c@r&et host=db", "password=*** host=db"),
            ("postgres://db/x?user=me&password=s3cret", "postgres://db/x?user=me&password=***"),
            ("postgres://me:s3@db/x?password=s3", "postgres://me:***@db/x?password=***"),
        ] {
            assert_eq!(redact(dsn), shown);
            assert_eq!(Dsn::parse(dsn).unwrap().redacted(), shown);
        }
        assert_eq!(redact("me:s3cret@db"), "me:***@db", "also in a text that is not a DSN");
    }

    #[test]
    fn a_name_of_an_operation_is_not_taken_for_a_dsn() {
        assert!(Dsn::is_plausible("postgresql://localhost/jobs"));
        assert!(Dsn::is_plausible("dbname=jobs host=/tmp"));
        assert!(Dsn::is_plausible("POSTGRES://localhost/jobs"));
        assert!(Dsn::is_plausible("postgresql+psycopg2://localhost/jobs"));
        assert!(Dsn::is_plausible("jdbc:postgresql://localhost/jobs"));
        assert!(!Dsn::is_plausible("s3://bucket/file"));
        assert!(!Dsn::is_plausible("--listen-dsn=postgres://localhost/jobs"));
        assert!(Dsn::is_plausible("target_session_attrs=primary host=a,b"));
        assert!(!Dsn::is_plausible("resize"));
        assert!(!Dsn::is_plausible("width=300"));
        assert!(!Dsn::is_plausible("--input=host"));
    }

    #[test]
    fn every_parameter_is_used_ignored_or_refused() {
        let dsn = Dsn::parse("host=a,b port=1,2 connect_timeout=3 keepalives_count=4 sslsni=0");
        let dsn = dsn.unwrap();
        assert_eq!(dsn.server(), "a:1, b:2");
        assert_eq!(dsn.connect_timeout(), Duration::from_secs(3));
        let named = Dsn::parse("host=a application_name=mine").unwrap();
        assert_eq!(named.notes().len(), 1, "{:?}", named.notes());
        let refused = Dsn::parse("host=a require_auth=none").unwrap_err().to_string();
        assert!(refused.contains("`require_auth` is not supported"), "{refused}");
        let unknown = Dsn::parse("host=a nonsense=1").unwrap_err().to_string();
        assert!(unknown.contains("there is no connection parameter `nonsense`"), "{unknown}");
        for wrong in ["load_balance_hosts=yes", "keepalives_idle=soon", "channel_binding=maybe"] {
            assert!(Dsn::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_process_that_writes_tries_the_server_first_that_suited_last() {
        let order = |dsn: &Dsn| -> Vec<usize> {
            dsn.servers_in_order().into_iter().map(|(index, _)| index).collect()
        };
        let any = Dsn::parse("postgres://a,b,c/jobs").unwrap();
        let writing = any.for_writing();
        assert_eq!(order(&writing), [0, 1, 2]);
        writing.choose(2);
        assert_eq!(order(&writing), [2, 0, 1]);
        assert_eq!(order(&any), [0, 1, 2]);
    }
}
