//! DSNs: where a database is, who asks, and how the way to it is encrypted. What `psql` understands
//! is understood here: options, `PG*` variables, services and the file of passwords.

mod options;
mod passfile;
mod service;
mod tls;

use std::{fmt, path::PathBuf};

use tokio_postgres::{Config, config::Host};

use crate::db::{
    deadline::{CONNECT_TIMEOUT, DEADLINE},
    error::{Error, Result, words},
};
use options::Settings;
use tls::Tls;

pub(crate) const DEFAULT_PORT: u16 = 5432;

/// Where a database is and who asks, as `postgres://…` or `host=… …`.
#[derive(Clone)]
pub struct Dsn {
    text: String,
    config: Config,
    tls: Tls,
}

impl Dsn {
    /// Reads one; what it leaves out comes from its service, from `PGHOST`, `PGPORT`, `PGUSER`,
    /// `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE` and their like, and from the file of passwords.
    pub fn parse(text: &str) -> Result<Dsn> {
        let bad = |what: String| Error::BadDsn { dsn: redact(text), what };
        let (rest, mut ours) = options::take(text).map_err(bad)?;
        let mut config: Config = rest
            .parse()
            .map_err(|error| Error::BadDsn { dsn: redact(text), what: words(&error) })?;
        let service = ours.remove("service").or_else(|| from("PGSERVICE"));
        let mut defaults = match service {
            Some(name) => {
                let service = service::find(&name).map_err(bad)?;
                let known = |key: &str| options::VARIABLES.iter().any(|(known, _)| *known == key);
                if let Some(key) = service.keys().find(|key| !known(key)) {
                    return Err(bad(format!("`{key}` of the service `{name}` is not known here")));
                }
                service
            }
            None => Settings::new(),
        };
        for (name, variable) in options::VARIABLES {
            if let (false, Some(value)) = (defaults.contains_key(*name), from(variable)) {
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
        let remote = |host: &Host| matches!(host, Host::Tcp(_));
        let remote = !config.get_hostaddrs().is_empty() || config.get_hosts().iter().any(remote);
        let tls = Tls::new(&ours, remote).map_err(bad)?;
        config.ssl_mode(tls.asked());
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(DEADLINE);
        Ok(Dsn { text: text.to_owned(), config, tls })
    }

    /// Whether an argument is meant as one: `postgres://…`, `postgresql://…` or `host=… …`.
    pub fn looks_like(text: &str) -> bool {
        const KEYS: [&str; 6] = ["host", "hostaddr", "port", "dbname", "user", "service"];
        text.starts_with("postgres://")
            || text.starts_with("postgresql://")
            || text.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key.trim()))
    }

    /// As it was given, password included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its password, if it has one: what must not be seen.
    pub fn password(&self) -> Option<String> {
        self.config.get_password().map(|p| String::from_utf8_lossy(p).into_owned())
    }

    /// As it was given, with `***` for the password: for messages.
    pub fn redacted(&self) -> String {
        redact(&self.text)
    }

    /// The server, as a person would say it: `localhost:5432`.
    pub fn place(&self) -> String {
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

    /// The database's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or("postgres")
    }

    /// What encrypts its connections.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// For pools and for callers that connect by themselves.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// What a DSN left out.
fn complete(config: &mut Config, defaults: &Settings) -> Result<(), String> {
    let default = |name: &str| defaults.get(name).map(String::as_str);
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        if let Some(text) = default("hostaddr") {
            config.hostaddr(text.parse().map_err(|_| format!("`{text}` is no address"))?);
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
        config.port(text.parse().map_err(|_| format!("`{text}` is no port"))?);
    }
    if config.get_user().is_none()
        && let Some(user) = default("user").map(str::to_owned).or_else(|| from("USER"))
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

/// A variable that is set.
fn from(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A file in the home of whoever runs this.
fn at_home(path: &str) -> Option<PathBuf> {
    from("HOME").map(|home| PathBuf::from(home).join(path))
}

/// `***` for whatever may be a password: between a user and `@`, and after each `password=`.
fn redact(dsn: &str) -> String {
    let mut text = dsn.to_owned();
    let after_scheme = text.find("://").map(|at| at + 3);
    let user = after_scheme.unwrap_or(0);
    if let Some(at) = text[user..].rfind('@').map(|at| at + user)
        && let Some(colon) = text[user..at].find(':').map(|colon| colon + user)
    {
        text.replace_range(colon + 1..at, "***");
    }
    let mut from = 0;
    while let Some(key) = text[from..].find("password").map(|key| key + from) {
        from = key + "password".len();
        let Some(given) = text[from..].trim_start().strip_prefix('=') else { continue };
        let value = given.trim_start();
        let start = text.len() - value.len();
        let end = start + value_end(value, after_scheme.is_some());
        text.replace_range(start..end, "***");
        from = start;
    }
    text
}

/// Where a value ends: at its closing quote, else before the next option.
fn value_end(value: &str, in_url: bool) -> usize {
    if value.starts_with('\'') {
        let mut escaped = false;
        let closing = value.char_indices().skip(1).find(|(_, letter)| {
            let closes = *letter == '\'' && !escaped;
            escaped = *letter == '\\' && !escaped;
            closes
        });
        return closing.map_or(value.len(), |(at, _)| at + 1);
    }
    let ends = |letter: char| if in_url { letter == '&' } else { letter.is_whitespace() };
    value.find(ends).unwrap_or(value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
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
        assert_eq!(redact("me:s3cret@db"), "me:***@db", "though it names no database");
    }

    #[test]
    fn names_of_operations_are_not_taken_for_databases() {
        assert!(Dsn::looks_like("postgresql://localhost/jobs"));
        assert!(Dsn::looks_like("dbname=jobs host=/tmp"));
        assert!(!Dsn::looks_like("resize"));
        assert!(!Dsn::looks_like("--input=host"));
    }
}
