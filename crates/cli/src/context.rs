//! The context that every command gets: the database to connect to, the output format, and functions that print.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use rework_core::db::{connect::Db, dsn::Dsn, error::Error as CoreError};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    config::Config,
    database::DatabaseSource,
    error_text::{self, hinted},
    json_list::JsonList,
    options::{Format, Options},
    output,
    table::Table,
};

/// Everything that a command needs besides its own arguments.
#[derive(Debug)]
pub struct Context {
    database: DatabaseSource,
    /// The resolved DSN. It is kept because a DSN in a file descriptor can be read only once.
    dsn: OnceLock<Dsn>,
    /// The name of the connections in `pg_stat_activity`.
    application_name: String,
    /// Builds the parser of the whole command line, for help and for completions. The parser depends on every
    /// command, so a command cannot import it.
    pub(crate) parser: fn() -> clap::Command,
    /// The output format: the option `-o`.
    pub format: Format,
    /// Whether to print ids only, and no notes: the option `-q`.
    pub quiet: bool,
    /// Whether to use colours on standard output.
    pub colour: bool,
    /// Whether standard output is a terminal. Text from tasks must then be escaped, so that it cannot control the
    /// terminal.
    pub terminal: bool,
}

impl Context {
    pub(crate) fn new(
        command: &str,
        options: &Options,
        config: Config,
        parser: fn() -> clap::Command,
    ) -> Context {
        let stdout = io::stdout();
        Context {
            database: options.database_source(config),
            dsn: OnceLock::new(),
            application_name: format!("rework {command}"),
            parser,
            format: options.output,
            quiet: options.quiet,
            colour: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            terminal: stdout.is_terminal(),
        }
    }

    /// Returns the DSN of the database: the named one, or that of a running `rework dev`. `Err` if
    /// there is neither.
    pub fn dsn(&self) -> anyhow::Result<Dsn> {
        if let Some(dsn) = self.dsn.get() {
            return Ok(dsn.clone());
        }
        let dsn = self.database.resolve(|text| self.note(text))?;
        Ok(self.keep(dsn))
    }

    /// Keeps a DSN for later calls, and prints a note for each of its parameters that has no effect.
    fn keep(&self, dsn: Dsn) -> Dsn {
        self.dsn
            .get_or_init(|| {
                dsn.notes().iter().for_each(|note| self.note(note));
                dsn
            })
            .clone()
    }

    /// Returns the DSN of the database that an option, the environment or the configuration file names. `None` if none
    /// of them names one.
    pub fn named_dsn(&self) -> anyhow::Result<Option<Dsn>> {
        if let Some(dsn) = self.dsn.get() {
            return Ok(Some(dsn.clone()));
        }
        let named = self.database.named_dsn()?;
        Ok(named.map(|dsn| self.keep(dsn)))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.database.config
    }

    /// Connects to the database and checks that its schema fits this program. `Err` if it does not
    /// fit, if no database is given, or if the connection fails.
    pub async fn open(&self) -> anyhow::Result<Db> {
        Ok(rework_core::admin::schema::open(&self.dsn()?, &self.application_name).await?)
    }

    /// Connects as [`open`](Context::open) does, and also returns the notifications that the connection receives, each
    /// as a channel and a payload. The caller executes `listen`.
    pub async fn open_listening(
        &self,
    ) -> anyhow::Result<(Db, mpsc::UnboundedReceiver<(String, String)>)> {
        let dsn = self.dsn()?;
        let (db, notifications) = Db::connect_listening(&dsn, &self.application_name).await?;
        rework_core::admin::schema::check(&db, &dsn).await?;
        Ok((db, notifications))
    }

    /// Returns whether a destructive command may go on.
    ///
    /// For a database with `production = true` in the configuration file, it may only after a `yes`: the option
    /// `--yes` (the argument `yes`), or the answer on the terminal. `action` completes the question, for example
    /// `kill workers`. `Err` if a confirmation is needed and standard input is not a terminal.
    pub fn confirm_destructive(&self, action: &str, yes: bool) -> anyhow::Result<bool> {
        let Some(name) = self.database.production_name()?.filter(|_| !yes) else { return Ok(true) };
        if !io::stdin().is_terminal() {
            return Err(hinted(
                format!(
                    "database `{name}` is marked as production: cannot {action} without confirmation"
                ),
                "to confirm, add `--yes`",
            ));
        }
        output::print_stderr(format_args!(
            "Database `{name}` is marked as production. Really {action}? [y/N]"
        ));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Prints one line to standard output.
    pub fn print(&self, line: impl Display) -> anyhow::Result<()> {
        output::print(line)
    }

    /// Writes exactly these bytes to standard output.
    pub fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        output::write(bytes)
    }

    /// Prints a list in the requested format: ids only with `-q`, else JSON or a table.
    pub fn print_list<T: Serialize>(
        &self,
        rows: &[T],
        id: impl Fn(&T) -> String,
        table: impl FnOnce(&[T]) -> Table,
    ) -> anyhow::Result<()> {
        if self.quiet {
            let ids: String = rows.iter().map(|row| id(row) + "\n").collect();
            return self.write(ids.as_bytes());
        }
        if self.format == Format::Table {
            return self.write(table(rows).render(self.colour).as_bytes());
        }
        let mut list = self.json_list()?;
        rows.iter().try_for_each(|row| list.item(row))?;
        list.finish()
    }

    /// Starts a JSON list that is printed item by item, so that its items need not be in memory all at once.
    pub fn json_list(&self) -> anyhow::Result<JsonList> {
        JsonList::start(self.format)
    }

    /// Prints a note to standard error. Prints nothing with `-q`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            output::note(text);
        }
    }

    /// Prints an error and continues. Commands with several arguments use it when one of them cannot be processed.
    pub fn print_error(&self, error: &anyhow::Error) {
        error_text::print(error);
    }

    /// Prints a warning to standard error, also with `-q`.
    pub fn warn(&self, text: impl Display) {
        output::warn(text);
    }
}

/// Returns whether `error` means that the database is unreachable, so that trying again later makes sense.
pub(crate) fn is_unreachable(error: &anyhow::Error) -> bool {
    error.downcast_ref::<CoreError>().is_some_and(CoreError::is_connection)
}
