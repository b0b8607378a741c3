//! Connecting to Postgres: which one, with which deadline, and what is heard from it.
//!
//! Every statement is sent unnamed (`query_typed`), so that it is correct behind a pooler in
//! transaction mode, and under a deadline on our side: a connection that missed one is closed,
//! since nobody knows what it would answer next.

use std::{fmt, future::poll_fn, time::Duration};

use tokio::sync::mpsc;
use tokio_postgres::{
    AsyncMessage, Client, Config, NoTls, Row,
    config::{Host, SslMode},
    types::{ToSql, Type},
};

use crate::error::{Error, Result};

/// The longest that a statement of the queue itself may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_PORT: u16 = 5432;

/// A parameter of a statement, with its type: statements are never described beforehand.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// Where a database is and who asks, as `postgres://…` or `host=… …`.
#[derive(Clone)]
pub struct Dsn {
    text: String,
    config: Config,
}

impl Dsn {
    /// Reads one; what it leaves out comes from `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and
    /// `PGDATABASE`.
    pub fn parse(text: &str) -> Result<Dsn> {
        let mut config: Config =
            text.parse().map_err(|source| Error::BadDsn { dsn: redact(text), source })?;
        let from = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host(from("PGHOST").as_deref().unwrap_or("localhost"));
        }
        if config.get_ports().is_empty()
            && let Some(port) = from("PGPORT").and_then(|port| port.parse().ok())
        {
            config.port(port);
        }
        if config.get_user().is_none()
            && let Some(user) = from("PGUSER").or_else(|| from("USER"))
        {
            config.user(user);
        }
        if config.get_password().is_none()
            && let Some(password) = from("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_dbname().is_none()
            && let Some(database) = from("PGDATABASE")
        {
            config.dbname(database);
        }
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(DEADLINE);
        Ok(Dsn { text: text.to_owned(), config })
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
            None => format!("port {port}"),
        }
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or("postgres")
    }

    /// Whether it names one server, so that what this one answers is true of the database.
    pub(crate) fn is_one_server(&self) -> bool {
        self.config.get_hosts().len().max(self.config.get_hostaddrs().len()) == 1
    }

    /// For pools and for callers that connect by themselves.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
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

/// One connection.
#[derive(Debug)]
pub struct Db {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
}

impl Db {
    /// Connects. `who` becomes the `application_name`: `rework worker 12`.
    pub async fn connect(dsn: &Dsn, who: &str) -> Result<Db> {
        Ok(Db::connect_listening(dsn, who).await?.0)
    }

    /// Connects, and gives what is notified on the channels that it will `listen` to: (channel,
    /// payload). The stream ends with the connection.
    pub async fn connect_listening(
        dsn: &Dsn,
        who: &str,
    ) -> Result<(Db, mpsc::UnboundedReceiver<(String, String)>)> {
        if dsn.config.get_ssl_mode() == SslMode::Require {
            return Err(Error::NoTls { place: dsn.place() });
        }
        let mut config = dsn.config.clone();
        config.application_name(who);
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT * 2, config.connect(NoTls));
        let (client, mut connection) = match connecting.await {
            Ok(connected) => connected.map_err(|error| Error::connecting(dsn, &error))?,
            Err(_) => return Err(Error::ConnectTimeout { place: dsn.place() }),
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(n) = message {
                    // Nobody listens to most connections: what they are told is dropped.
                    let _ = sender.send((n.channel().to_owned(), n.payload().to_owned()));
                }
            }
        });
        Ok((Db { client, driver }, receiver))
    }

    /// Rows of a statement.
    pub async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.within(DEADLINE, self.client.query_typed(sql, params)).await
    }

    /// The one row of a statement, if there is one.
    pub async fn query_opt(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The one row of a statement that always has one.
    pub async fn query_one(&self, sql: &str, params: &[Param<'_>]) -> Result<Row> {
        self.query_opt(sql, params).await?.ok_or(Error::NoRow)
    }

    /// Statements without parameters, as a script.
    pub async fn execute_script(&self, sql: &str) -> Result<()> {
        self.within(DEADLINE, self.client.batch_execute(sql)).await
    }

    /// The connection itself, for statements with a deadline of their own.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The connection itself, for transactions.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Waits for an answer; without one in time the connection is closed.
    pub async fn within<T>(
        &self,
        deadline: Duration,
        answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        if let Ok(answered) = tokio::time::timeout(deadline, answer).await {
            return Ok(answered?);
        }
        self.driver.abort();
        Err(Error::Deadline { seconds: deadline.as_secs() })
    }
}

/// Waits for an answer on a connection that is somebody else's.
pub(crate) async fn within_deadline<T>(
    answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(Error::Deadline { seconds: DEADLINE.as_secs() }),
    }
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
