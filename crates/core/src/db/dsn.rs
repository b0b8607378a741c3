//! [`Dsn`], the address of a database: server, user, password and encryption.
//!
//! A DSN is read as `psql` reads it. What it leaves out comes from its service (`dsn/service.rs`), from `PG*` variables
//! (`dsn/options.rs`) and from the password file (`dsn/passfile.rs`). `dsn/tls.rs` carries out `sslmode`.

mod options;
mod passfile;
mod password;
mod service;
mod tls;

use std::{fmt, path::PathBuf};

use tokio_postgres::{Config, config::Host};

use crate::db::{
    deadline::{CONNECT_TIMEOUT, DEADLINE},
    error::{Error, Result, server_message},
};
use options::Settings;
pub use password::hide_passwords;
use password::{redact, with_password};
use tls::Tls;

pub(crate) const DEFAULT_PORT: u16 = 5432;

/// The address of a database, written `postgres://…` or `host=… …`. Its `Debug` form hides the password.
#[derive(Clone)]
pub struct Dsn {
    text: String,
    config: Config,
    tls: Tls,
}

impl Dsn {
    /// Parses a DSN, and completes it: first from its service, then from the environment (`PGHOST`, `PGPORT`,
    /// `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE`, …), then the password from the password file.
    ///
    /// # Errors
    ///
    /// `Err` if the text is not a DSN, or if the service or an option in it is not valid.
    pub fn parse(text: &str) -> Result<Dsn> {
        let bad = |why: String| Error::BadDsn { dsn: redact(text), why };
        let (for_library, mut ours) = options::split(text).map_err(bad)?;
        let mut config: Config = for_library
            .parse()
            .map_err(|error| Error::BadDsn { dsn: redact(text), why: server_message(&error) })?;
        let service = ours.remove("service").or_else(|| env_var("PGSERVICE"));
        let mut defaults = match service {
            Some(name) => {
                let service = service::find(&name).map_err(bad)?;
                let known = |key: &str| options::VARIABLES.iter().any(|(known, _)| *known == key);
                if let Some(key) = service.keys().find(|key| !known(key)) {
                    return Err(bad(format!("the service `{name}` has an unknown option `{key}`")));
                }
                service
            }
            None => Settings::new(),
        };
        for (name, variable) in options::VARIABLES {
            if let (false, Some(value)) = (defaults.contains_key(*name), env_var(variable)) {
                defaults.insert((*name).to_owned(), value);
            }
        }
        complete(&mut config, &defaults).map_err(bad)?;
        for (name, value) in defaults {
            if options::OURS.contains(&name.as_str()) {
                ours.entry(name).or_insert(value);
            }
        }
        let password = || passfile::find(ours.get("passfile").map(String::as_str), &config);
        if config.get_password().is_none()
            && let Some(password) = password()
        {
            config.password(password);
        }
        let is_tcp = |host: &Host| matches!(host, Host::Tcp(_));
        let uses_tcp = !config.get_hostaddrs().is_empty() || config.get_hosts().iter().any(is_tcp);
        let tls = Tls::new(&ours, uses_tcp).map_err(bad)?;
        config.ssl_mode(tls.requested_mode());
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(DEADLINE);
        Ok(Dsn { text: text.to_owned(), config, tls })
    }

    /// Returns whether a command-line argument is meant as a DSN: it starts with `postgres://` or `postgresql://`, or
    /// with an option such as `host=`. So is a URL that another program would take for one, such as
    /// `jdbc:postgresql://`: it is then refused with the right error.
    pub fn is_plausible(text: &str) -> bool {
        const KEYS: [&str; 6] = ["host", "hostaddr", "port", "dbname", "user", "service"];
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.:-_".contains(c);
        let is_url = text.split_once("://").is_some_and(|(scheme, _)| {
            let scheme = scheme.to_ascii_lowercase();
            let is_ours = ["postgres", "pgsql"].iter().any(|name| scheme.contains(name));
            is_ours && scheme.chars().all(is_of_scheme) && !scheme.starts_with('-')
        });
        is_url || text.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key.trim()))
    }

    /// Returns the DSN as it was given to [`Dsn::parse`], including the password.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the password, or `None` if there is none. It must not be shown to anybody.
    pub fn password(&self) -> Option<String> {
        self.config.get_password().map(|p| String::from_utf8_lossy(p).into_owned())
    }

    /// Returns the DSN as it was given. If it has no password, and `password` is the one with which it is completed,
    /// the text contains that password. So the DSN is complete without the environment.
    pub fn text_with_password(&self, password: &str) -> String {
        let is_missing = self.redacted() == self.text;
        if is_missing && self.password().as_deref() == Some(password) {
            return with_password(&self.text, password);
        }
        self.text.clone()
    }

    /// Returns the DSN as it was given, with `***` in place of the password, for messages.
    pub fn redacted(&self) -> String {
        redact(&self.text)
    }

    /// Returns host and port of the server for messages, for example `localhost:5432`.
    pub fn server(&self) -> String {
        let port = self.config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => format!("{host}:{port}"),
            Some(Host::Unix(folder)) => format!("{} (port {port})", folder.display()),
            None => match self.config.get_hostaddrs().first() {
                Some(address) => format!("{address}:{port}"),
                None => format!("port {port}"),
            },
        }
    }

    /// Returns the name of the database. Without one, Postgres uses the name of the user.
    pub fn database(&self) -> &str {
        self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or("postgres")
    }

    /// Returns the connector that encrypts connections to this database.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Returns the configuration for `tokio_postgres`, complete with all defaults.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Sets the options that the DSN left out: from `defaults`, or else to the usual values of `psql`.
fn complete(config: &mut Config, defaults: &Settings) -> Result<(), String> {
    let default = |name: &str| defaults.get(name).map(String::as_str);
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        if let Some(text) = default("hostaddr") {
            config.hostaddr(text.parse().map_err(|_| format!("`{text}` is not an IP address"))?);
        }
        if let Some(host) = default("host") {
            config.host(host);
        } else if config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
    }
    if config.get_ports().is_empty()
        && let Some(text) = default("port")
    {
        config.port(text.parse().map_err(|_| format!("`{text}` is not a port number"))?);
    }
    if config.get_user().is_none()
        && let Some(user) = default("user").map(str::to_owned).or_else(|| env_var("USER"))
    {
        config.user(user);
    }
    if config.get_password().is_none()
        && let Some(password) = default("password")
    {
        config.password(password);
    }
    if config.get_dbname().is_none()
        && let Some(database) = default("dbname")
    {
        config.dbname(database);
    }
    Ok(())
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
        assert!(!Dsn::is_plausible("resize"));
        assert!(!Dsn::is_plausible("--input=host"));
    }
}
